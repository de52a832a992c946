"""The house IVIG Clinic lives in: settings and root addresses."""

VERSION = "0.1.0"
