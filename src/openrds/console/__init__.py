"""The web console: pages of the API's own rules, live by events. docs/decisions/0052 says how it is safe."""
