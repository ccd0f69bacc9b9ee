"""The conformance suite and toy data, for our tests and for those of packages with methods of their own."""
