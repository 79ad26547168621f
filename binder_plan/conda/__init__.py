"""What conda's and pixi's files ask for, and the steps by which py-rattler installs it."""
