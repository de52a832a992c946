"""System checks: a figure without a source is refused before anything is served."""
