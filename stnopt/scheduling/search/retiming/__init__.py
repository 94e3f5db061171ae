"""The linear program behind `improve_schedule`: an order of batches, times and sizes free."""
