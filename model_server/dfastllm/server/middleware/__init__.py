"""Pure ASGI middlewares, one per module; their order is in `server.stack`."""
