"""Routes of the HTTP API and of the web page, one module per subject."""
