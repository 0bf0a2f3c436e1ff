"""A broker that asks for a password (SCRAM) and allows nothing that was not granted."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.kafka.broker import START_SECONDS, Node, free_ports, properties
from tests.kafka.jars import VERSION

PASSWORD = "let me in"
SESSION_SECONDS = 3
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"

Right = tuple[ResourceType, str, AclOperation]
_ANY_RIGHT = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)


class SecuredBroker:
    """One node. The superuser is `admin`; every password is PASSWORD."""

    def __init__(self, folder: Path) -> None:
        port, internal, controller, encrypted, certified = free_ports(5)
        settings = properties(1, 1, (port, port, internal, controller), f"1@127.0.0.1:{controller}")
        for name, at in (("ENCRYPTED", encrypted), ("CERTIFIED", certified)):
            for setting in ("listeners", "advertised.listeners"):
                settings[setting] += f",{name}://localhost:{at}"
        self.bootstrap = f"127.0.0.1:{port}"
        self.encrypted = f"localhost:{encrypted}"
        """The same broker, over TLS; a password is asked for there too."""
        self.certified = f"localhost:{certified}"
        """The same broker, where a certificate of `authority` is asked for instead: its common name is the user."""
        self.authority = trustme.CA()
        self.short_sessions = f"127.0.0.1:{internal}"
        """The same broker, where a session has to authenticate again after SESSION_SECONDS."""
        self._node = Node(1, folder, settings | _security() | self._certificates(folder), VERSION)

    def start(self) -> None:
        self._node.format("-S", f"SCRAM-SHA-512=[name=admin,password={PASSWORD}]")
        self._node.start()
        self._admin = AdminClient(
            {
                "bootstrap.servers": self.bootstrap,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "admin",
                "sasl.password": PASSWORD,
                "log_level": 0,
            }
        )
        self._admin.list_topics(timeout=START_SECONDS)

    def _certificates(self, folder: Path) -> dict[str, str]:
        folder.mkdir(parents=True, exist_ok=True)
        own, trusted = folder / "broker.pem", folder / "authority.pem"
        issued = self.authority.issue_cert("localhost")
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        own.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))  # Java reads no other
        issued.cert_chain_pems[0].write_to_path(own, append=True)
        self.authority.cert_pem.write_to_path(trusted)
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(own),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(trusted),
        }

    @property
    def process(self) -> int:
        return self._node.process

    def stop(self) -> None:
        self._node.kill()

    def wipe(self) -> None:
        """Remove topics, groups, rights, and users but the superuser."""
        names = [name for name in self._admin.list_topics(timeout=START_SECONDS).topics if not name.startswith("__")]
        if names:
            for done in self._admin.delete_topics(names).values():
                done.result(START_SECONDS)
        self._remove_groups()
        for done in self._admin.delete_acls([_ANY_RIGHT]).values():
            done.result(START_SECONDS)
        there = self._admin.describe_user_scram_credentials().result(START_SECONDS)
        if gone := there.keys() - {"admin"}:
            self.remove_users(*gone)

    def _remove_groups(self) -> None:
        """Remove all groups. A member that was killed leaves its group only at the end of its session."""
        deadline = time.monotonic() + START_SECONDS
        while groups := [group.group_id for group in self._admin.list_consumer_groups().result(START_SECONDS).valid]:
            for done in self._admin.delete_consumer_groups(groups).values():
                error = done.exception(START_SECONDS)
                if error is not None and time.monotonic() > deadline:
                    raise error
            time.sleep(0.1)

    def drop_topic(self, name: str) -> None:
        self._admin.delete_topics([name])[name].result(START_SECONDS)

    def remove_users(self, *names: str) -> None:
        """Remove users with all their rights."""
        rights = [
            AclBindingFilter(
                ResourceType.ANY,
                None,
                ResourcePatternType.ANY,
                f"User:{name}",
                None,
                AclOperation.ANY,
                AclPermissionType.ANY,
            )
            for name in names
        ]
        for done in self._admin.delete_acls(rights).values():
            done.result(START_SECONDS)
        gone = [UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_512) for name in names]
        for done in self._admin.alter_user_scram_credentials(gone).values():
            done.result(START_SECONDS)

    def add_user(self, name: str, rights: Iterable[Right]) -> None:
        """Add a user with rights on names that begin as given. Waits until the broker has applied them."""
        credentials = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        user = UserScramCredentialUpsertion(name, credentials, PASSWORD.encode())
        for done in self._admin.alter_user_scram_credentials([user]).values():
            done.result(START_SECONDS)
        self.allow(name, rights)

    def allow(self, name: str, rights: Iterable[Right]) -> None:
        """Add rights on names that begin as given."""
        bindings = [
            AclBinding(
                kind,
                prefix,
                ResourcePatternType.PREFIXED if kind != ResourceType.BROKER else ResourcePatternType.LITERAL,
                f"User:{name}",
                "*",
                operation,
                AclPermissionType.ALLOW,
            )
            for kind, prefix, operation in rights
        ]
        for done in self._admin.create_acls(bindings).values():
            done.result(START_SECONDS)


def _security() -> dict[str, str]:
    return {
        "listener.security.protocol.map": (
            "PLAINTEXT:SASL_PLAINTEXT,INTERNAL:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,"
            "ENCRYPTED:SASL_SSL,CERTIFIED:SSL"
        ),
        "listener.name.encrypted.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.encrypted.scram-sha-512.sasl.jaas.config": f"{_SCRAM};",
        "listener.name.certified.ssl.client.auth": "required",
        "listener.name.certified.ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.internal.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.plaintext.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.internal.scram-sha-512.sasl.jaas.config": (f'{_SCRAM} username="admin" password="{PASSWORD}";'),
        "listener.name.plaintext.scram-sha-512.sasl.jaas.config": f"{_SCRAM};",
        "listener.name.controller.plain.sasl.jaas.config": (
            f'{_PLAIN} username="controller" password="{PASSWORD}" user_controller="{PASSWORD}";'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "listener.name.internal.scram-sha-512.connections.max.reauth.ms": str(SESSION_SECONDS * 1000),
        "super.users": "User:admin;User:controller",
        "allow.everyone.if.no.acl.found": "false",
    }
