"""The task families, one module each; `registry` joins them."""
