"""The model behind HTTP and in the cloud."""
