"""Making a data set's folder from downloads and archives."""
