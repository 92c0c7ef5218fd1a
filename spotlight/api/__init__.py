"""The REST interface of spotlight."""
