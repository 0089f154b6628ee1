"""Who calls, and what they may do: access tokens, API keys, scopes, the directory, how often."""
