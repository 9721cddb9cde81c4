"""Everything that knows HTTP or KServe."""
