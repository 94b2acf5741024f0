"""What people see: values in, text and tables out."""
