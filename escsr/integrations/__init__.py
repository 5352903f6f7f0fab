"""Networks of escsr in other frameworks."""
