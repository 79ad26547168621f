"""The sieve of Eratosthenes: `python primes.py 100`."""

import sys


def primes(limit: int) -> list[int]:
    """The primes up to and including `limit`."""
    candidates = bytearray([1]) * (limit + 1)
    candidates[:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if candidates[number]:
            candidates[number * number :: number] = bytes(len(range(number * number, limit + 1, number)))
    return [number for number, prime in enumerate(candidates) if prime]


if __name__ == "__main__":
    print(*primes(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
