"""What a memory card says, made from atoms: pure."""
