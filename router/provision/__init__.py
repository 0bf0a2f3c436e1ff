"""Provisioning: users, rights and quotas on the brokers, declared from the registered parties and corrected."""
