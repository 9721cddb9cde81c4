"""The objects of a service, one module per kind. All pure: spec in, the fields we own out."""
