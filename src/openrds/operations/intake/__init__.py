"""Where a call comes in: what it asks for is checked, and accepted as a task or refused."""
