"""Ways out: one module a protocol, and the registry by which they are made from home.toml."""
