from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    """The same hash at the least cost: what the tests are about is seldom how long it takes."""

    time_cost, memory_cost, parallelism = 1, 8, 1
