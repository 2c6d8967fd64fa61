"""Microsoft's Graph SDK for Python at work in the directory, unmodified but for the address and the credentials.

    graph_sdk.py < SETTINGS

SETTINGS is a JSON object: base (through which most requests go), direct (the API itself), token_endpoint, scope, client_id,
client_secret, tenant, domain, redirect, expected (how many guests are pending). Says on standard output what came of each step,
as one JSON object a line. A step that goes wrong ends it.
"""

import asyncio
import json
import sys
import time
import urllib.parse
import urllib.request

from azure.core.credentials import AccessToken
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphServiceClient
from msgraph.generated.models.app_role_assignment import AppRoleAssignment
from msgraph.generated.models.invitation import Invitation
from msgraph.generated.models.invited_user_message_info import InvitedUserMessageInfo
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.user import User
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem
from msgraph_core.tasks.page_iterator import PageIterator


def say(step, **what):
    print(json.dumps({"step": step, **what}, default=str), flush=True)


class ClientSecret:
    """Client credentials at the tenant's token endpoint."""

    def __init__(self, settings):
        self.settings = settings

    async def get_token(self, *scopes, **_):
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings["client_id"],
            "client_secret": self.settings["client_secret"],
            "scope": " ".join(scopes),
        }
        request = urllib.request.Request(self.settings["token_endpoint"], urllib.parse.urlencode(form).encode())
        answer = json.load(urllib.request.urlopen(request))
        return AccessToken(answer["access_token"], int(time.time()) + answer["expires_in"])

    async def close(self):
        pass


def query(**parameters):
    parameters = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(**parameters)
    configuration = RequestConfiguration(query_parameters=parameters)
    configuration.headers.add("ConsistencyLevel", "eventual")
    return configuration


def selecting(*names):
    parameters = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(select=list(names))
    return RequestConfiguration(query_parameters=parameters)


async def main(settings):
    client = GraphServiceClient(ClientSecret(settings), [settings["scope"]])
    client.request_adapter.base_url = settings["base"]

    invited = await client.invitations.post(
        Invitation(
            invited_user_email_address="adele@sdk.example",
            invite_redirect_url=settings["redirect"],
            invited_user_message_info=InvitedUserMessageInfo(customized_message_body="Welcome"),
            send_invitation_message=False,
        )
    )
    guest = invited.invited_user.id
    say("invited", id=invited.id, user=guest, status=invited.status, kind=invited.invited_user_type, link=invited.invite_redeem_url)

    found = await client.users.get(
        query(
            filter="externalUserState eq 'PendingAcceptance' and startswith(displayName,'Guest 0')",
            select=["id", "displayName", "externalUserState"],
            orderby=["displayName"],
            count=True,
            top=999,
        )
    )
    say("listed", count=found.odata_count, page=len(found.value), first=found.value[0].display_name, more=found.odata_next_link)

    ids = []
    pending = await client.users.get(query(filter="externalUserState eq 'PendingAcceptance'", select=["id"], top=999))
    await PageIterator(pending, client.request_adapter).iterate(lambda user: ids.append(user.id) or True)
    say("walked", users=len(ids), distinct=len(set(ids)), guest=guest in ids)

    await client.users.by_user_id(guest).patch(User(account_enabled=False, other_mails=["adele@elsewhere.example"]))
    user = await client.users.by_user_id(guest).get(
        selecting("id", "accountEnabled", "otherMails", "userType", "creationType", "externalUserState", "createdDateTime", "identities")
    )
    say(
        "patched",
        enabled=user.account_enabled,
        others=user.other_mails,
        kind=user.user_type,
        creation=user.creation_type,
        state=user.external_user_state,
        created=user.created_date_time,
        identity=user.identities[0].issuer_assigned_id,
    )
    by_address = await client.users.get(query(filter="mail eq 'adele@sdk.example'"))
    say("found", ids=[user.id for user in by_address.value])
    await client.users.by_user_id(guest).patch(User(account_enabled=True))
    revoked = await client.users.by_user_id(guest).revoke_sign_in_sessions.post()
    say("revoked", value=revoked.value)

    services = await client.service_principals.get()
    service = next(service for service in services.value if service.app_id == settings["app"])
    assignments = client.users.by_user_id(guest).app_role_assignments
    await assignments.post(
        AppRoleAssignment(principal_id=guest, resource_id=service.id, app_role_id="00000000-0000-0000-0000-000000000000")
    )
    assigned = await assignments.get()
    say("assigned", resources=[assignment.resource_display_name for assignment in assigned.value])
    applications = await client.applications.get()
    say("applications", names=[application.display_name for application in applications.value])

    await client.users.by_user_id(guest).delete()
    try:
        await client.users.by_user_id(guest).get()
        say("deleted", status=200)
    except ODataError as error:
        say("deleted", status=error.response_status_code, code=error.error.code, request=error.error.inner_error.request_id)
    deleted = await client.directory.deleted_items.graph_user.get()
    say("deleted items", ids=[user.id for user in deleted.value])
    restored = await client.directory.deleted_items.by_directory_object_id(guest).restore.post()
    say("restored", id=restored.id)

    organizations = await client.organization.get()
    organization = organizations.value[0]
    say("organization", id=organization.id, domains=[domain.name for domain in organization.verified_domains])
    by_id = await client.tenant_relationships.find_tenant_information_by_tenant_id_with_tenant_id(settings["tenant"]).get()
    by_domain = await client.tenant_relationships.find_tenant_information_by_domain_name_with_domain_name(settings["domain"]).get()
    say("tenants", names=[by_id.display_name, by_domain.display_name], ids=[by_id.tenant_id, by_domain.tenant_id])
    audits = await client.audit_logs.directory_audits.get()
    say("audits", names=[audit.activity_display_name for audit in audits.value][:20])

    # A client of its own: items are named by absolute URLs once a client has asked for anything, and those have to be the API's.
    direct = GraphServiceClient(ClientSecret(settings), [settings["scope"]])
    direct.request_adapter.base_url = settings["direct"]
    await direct.organization.get()
    batch = BatchRequestContent()
    for name, request in (
        ("known", direct.users.by_user_id(guest).to_get_request_information()),
        ("unknown", direct.users.by_user_id(settings["client_id"]).to_get_request_information()),
        ("gone", direct.users.by_user_id(guest).to_delete_request_information()),
    ):
        batch.add_request(name, BatchRequestItem(request, name))
    answers = await BatchRequestBuilder(direct.request_adapter).post(batch)
    say(
        "batch",
        urls=[item.url for item in batch.requests.values()],
        statuses={name: int(answer.status) for name, answer in answers.responses.items()},
    )


asyncio.run(main(json.load(sys.stdin)))
