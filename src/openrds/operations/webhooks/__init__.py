"""Webhooks: who is told of events, and deliveries that are asked for again."""
