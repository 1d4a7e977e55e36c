"""Complete configurations, one function each; the only room besides the command line that names concrete things."""
