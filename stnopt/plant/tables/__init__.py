"""Plants, problems and states as tables: an Excel workbook, or a folder of CSV files."""
