"""Search: settings that were compared on validation before anything was tested."""
