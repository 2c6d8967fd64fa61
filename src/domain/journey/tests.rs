//! What is owed when, as tables and properties.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    AgreementId,
    invitation::InvitationState,
    redemption::tests::{guest, invitation, proven},
    tenant::{AliasRedemption, TenantDomain, TenantPolicy},
    terms::{AgreementFile, Answer, DocumentId, FileVersion, MediaType, Scope},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn tenant() -> Tenant {
    Tenant {
        id: TenantId(uuid::Uuid::from_u128(1)),
        display_name: "Contoso".into(),
        domains: vec![TenantDomain { name: "contoso.example".parse().unwrap(), verified: true, dns: None }],
        hosts: Vec::new(),
        privacy: Default::default(),
        branding: Default::default(),
        policy: TenantPolicy::default(),
        created: at(0),
        enabled: true,
    }
}

fn agreement(versions: u32) -> Agreement {
    Agreement {
        id: AgreementId(uuid::Uuid::from_u128(9)),
        name: "terms".into(),
        order: 0,
        must_open: true,
        scope: Scope::default(),
        files: vec![AgreementFile {
            language: "en".parse().unwrap(),
            display_name: "Terms".into(),
            versions: (1..=versions)
                .map(|version| FileVersion {
                    version,
                    document: DocumentId::of(&version.to_be_bytes()),
                    media: MediaType::Text,
                    major: true,
                    published: at(0),
                })
                .collect(),
        }],
        published: true,
    }
}

fn answer(version: u32, answer: Answer) -> Acceptance {
    Acceptance {
        agreement: agreement(1).id,
        user: guest("sam@home.example", None).id,
        language: "en".parse().unwrap(),
        version,
        document: DocumentId::of(&version.to_be_bytes()),
        answer,
        app: None,
        at: at(5),
    }
}

fn facts<'a>(tenant: &'a Tenant, person: Person<'a>, agreements: &'a [Agreement]) -> Facts<'a> {
    Facts {
        tenant,
        app: None,
        person,
        address: None,
        mailbox: None,
        mailbox_proven: None,
        invitation: None,
        barred: false,
        errand: None,
        set_up: None,
        assigned: false,
        permissions_accepted: None,
        agreements,
        recorded: &[],
        given: &[],
        languages: &[],
        demands: Demands::default(),
    }
}

#[test]
fn a_pending_guest_walks_the_whole_journey_and_a_returning_one_none_of_it() {
    let (tenant, agreements) = (tenant(), [agreement(1)]);
    let mut known = facts(&tenant, Person::Unknown, &agreements);
    assert_eq!(next(&known), Step::Identify);
    known.person = Person::Claims(Some(IdentitySource::HomeOrganisation));
    assert_eq!(next(&known), Step::Authenticate(IdentitySource::HomeOrganisation));
    let (user, proof) = (guest("sam@home.example", None), proven("sam", "sam@home.example", true, true));
    known.person = Person::Recognised(Recognised { user: &user, auth_time: at(1), began: at(1), proof: Some(&proof) });
    assert_eq!(next(&known), Step::ReviewPermissions);
    known.permissions_accepted = Some(at(2));
    assert!(matches!(next(&known), Step::Terms(_)));
    let given = [answer(1, Answer::Accepted)];
    known.given = &given;
    assert_eq!(next(&known), Step::Redeem);

    let user = redemption::redeem(user, &proof, at(2), at(3)).unwrap();
    let mut returning = facts(&tenant, Person::Unknown, &agreements);
    returning.person = Person::Recognised(Recognised { user: &user, auth_time: at(1), began: at(1), proof: None });
    returning.recorded = &given;
    assert_eq!(next(&returning), Step::Land);
    let agreements = [agreement(2)];
    returning.agreements = &agreements;
    assert!(matches!(next(&returning), Step::Terms(owed) if owed.version.version == 2), "a new version is asked once");
}

#[test]
fn demands_of_the_request_are_met() {
    let tenant = tenant();
    let user = guest("sam@home.example", Some("sam"));
    let mut known =
        facts(&tenant, Person::Recognised(Recognised { user: &user, auth_time: at(10), began: at(10), proof: None }), &[]);
    assert_eq!(next(&known), Step::Land);
    known.demands.authenticated_since = Some(at(11));
    assert_eq!(next(&known), Step::Identify);
    known.demands = Demands { permissions_since: Some(at(11)), ..Demands::default() };
    assert_eq!(next(&known), Step::ReviewPermissions);
}

proptest! {
    /// L-15: no facts with anything owed ever yield a landing.
    #[test]
    fn l_15_nothing_lands_while_something_is_owed(
        bound in any::<bool>(), enabled in any::<bool>(), proof in any::<bool>(), consent in any::<bool>(),
        reviewed_since in 0i64..4, current in 1u32..4, recorded in prop::collection::vec((1u32..4, any::<bool>()), 0..4),
        given in prop::collection::vec((1u32..4, any::<bool>()), 0..3), assignment in any::<bool>(), assigned in any::<bool>(),
        valid_from in 0i64..3, auth in 0i64..3,
    ) {
        let mut tenant = tenant();
        tenant.policy.permissions_reviewed_since = Some(at(reviewed_since));
        let mut user = guest("sam@home.example", bound.then_some("sam"));
        user.account_enabled = enabled;
        user.sessions_valid_from = at(valid_from);
        let identity = proven("sam", "sam@home.example", true, true);
        let agreements = [agreement(current)];
        let to_answer = |(version, accepted): &(u32, bool)| answer(*version, if *accepted { Answer::Accepted } else { Answer::Declined });
        let recorded: Vec<_> = recorded.iter().map(to_answer).collect();
        let given: Vec<_> = given.iter().map(to_answer).collect();
        let app = App {
            id: AppId(uuid::Uuid::from_u128(3)), display_name: String::new(), description: None, homepage: None, redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(), client: crate::domain::app::ClientType::Public, pkce: Default::default(), visible: true,
            assignment_required: assignment, enabled: true, permissions: Vec::new(), delegated_permissions: Vec::new(),
            id_token_alg: crate::domain::app::SigningAlg::RS256, access_token_alg: crate::domain::app::SigningAlg::ES256,
        };
        let person = Person::Recognised(Recognised { user: &user, auth_time: at(auth), began: at(auth), proof: proof.then_some(&identity) });
        let facts = Facts { recorded: &recorded, given: &given, permissions_accepted: consent.then(|| at(9)), assigned, app: Some(&app),
            ..facts(&tenant, person, &agreements) };
        if next(&facts) == Step::Land {
            prop_assert!(bound && enabled && (assigned || !assignment) && given.is_empty() && !consent);
            prop_assert!(reviewed_since == 0, "accepted at 0, so a later review is owed");
            prop_assert!(auth >= valid_from);
            let last = recorded.iter().rev().find(|a| a.version == current);
            prop_assert_eq!(last.map(|a| a.answer), Some(Answer::Accepted));
        }
    }

    /// L-07, L-08: whatever the facts are, a guest who is yet to come is asked for nothing but who they are until their claim
    /// is granted: no page is shown that leads to redemption, and none is the landing.
    #[test]
    fn l_08_nobody_redeems_without_a_claim(
        email in prop::sample::select(vec!["sam@home.example", "alias@home.example", "sam@else.example"]), verified in any::<bool>(),
        bound in any::<bool>(), proof in any::<bool>(), link in any::<bool>(), newest in any::<bool>(), open in any::<bool>(),
        address in any::<bool>(), mailbox in prop::option::of(prop::sample::select(vec!["sam@home.example", "alias@home.example"])),
        alias in prop::sample::select(vec![AliasRedemption::Passcode, AliasRedemption::Link, AliasRedemption::Deny]),
        consent in any::<bool>(), errand in prop::option::of(prop::sample::select(vec![Errand::Leave, Errand::BlockInvitations, Errand::SendAgain])),
    ) {
        let mut tenant = tenant();
        tenant.policy.alias_redemption = alias;
        let mut user = guest("sam@home.example", None);
        if !address {
            user.mail = None;
        }
        let mut invitation = invitation(&user, address.then_some("sam@home.example"));
        user.invitation = newest.then_some(invitation.id);
        if !open {
            invitation.state = InvitationState::Replaced { at: at(0) };
        }
        let identity = proven("sub", email, verified, bound);
        let mailbox = mailbox.map(|address| VerifiedEmail::proven_by_passcode(address.parse().unwrap()));
        let person = Person::Recognised(Recognised { user: &user, auth_time: at(1), began: at(1), proof: proof.then_some(&identity) });
        let facts = Facts { invitation: link.then_some(&invitation), mailbox: mailbox.as_ref(), errand,
            permissions_accepted: consent.then(|| at(9)), ..facts(&tenant, person, &[]) };
        let theirs = verified && bound && email == "sam@home.example" && address;
        let shown = mailbox.as_ref().is_some_and(|mailbox| mailbox.address().as_str() == "sam@home.example");
        let by_link = link && newest && open && (!address || alias == AliasRedemption::Link || (alias == AliasRedemption::Passcode && shown));
        let granted = errand.is_none() && proof && (theirs || by_link);
        let step = next(&facts);
        prop_assert_eq!(matches!(step, Step::ReviewPermissions | Step::Terms(_) | Step::Redeem), granted, "{:?}", step);
        prop_assert!(step != Step::Land && settle(&facts).is_err());
    }
}

/// A form can be posted that no page has shown: it is asked at every step whether guests have accounts here, of one who is yet to
/// come and of one who was here before.
#[test]
fn an_account_is_set_up_only_where_guests_have_any() {
    let mut tenant = tenant();
    let address: EmailAddress = "sam@home.example".parse().unwrap();
    let mailbox = VerifiedEmail::proven_by_passcode(address.clone());
    let mut accepted = guest("sam@home.example", Some("sam"));
    if let Some(ExternalUserState::Accepted { source, .. }) = &mut accepted.external {
        *source = IdentitySource::LocalAccount;
    }
    for user in [&guest("sam@home.example", None), &accepted] {
        for (order, step) in [
            (IdentitySource::LocalAccount, Step::SetUpAccount),
            (IdentitySource::OneTimePasscode, Step::Refuse(Code::NoIdentitySource)),
        ] {
            tenant.policy.redemption_order = vec![order];
            let mut known = facts(&tenant, Person::Claims(Some(IdentitySource::LocalAccount)), &[]);
            (known.address, known.mailbox, known.mailbox_proven) = (Some(&address), Some(&mailbox), Some(at(9)));
            known.set_up = Some(SetUp { user: Some(user) });
            assert_eq!(next(&known), step);
        }
    }
}

/// O-06: a mailbox that was proven before the account was made, or its sessions were ended, is to be proven again.
#[test]
fn o_06_a_proof_of_the_mailbox_ends_with_what_it_opened() {
    let mut tenant = tenant();
    tenant.policy.redemption_order = vec![IdentitySource::LocalAccount];
    let address: EmailAddress = "sam@home.example".parse().unwrap();
    let mailbox = VerifiedEmail::proven_by_passcode(address.clone());
    for (accepted, ended, step) in [
        (at(5), at(5), Step::SetUpAccount),
        (at(9), at(5), Step::ProveMailbox(&address)),
        (at(5), at(9), Step::ProveMailbox(&address)),
    ] {
        let mut user = guest("sam@home.example", Some("sam"));
        user.sessions_valid_from = ended;
        if let Some(ExternalUserState::Accepted { source, since, .. }) = &mut user.external {
            (*source, *since) = (IdentitySource::LocalAccount, accepted);
        }
        let mut known = facts(&tenant, Person::Claims(Some(IdentitySource::LocalAccount)), &[]);
        (known.address, known.mailbox, known.mailbox_proven) = (Some(&address), Some(&mailbox), Some(at(7)));
        known.set_up = Some(SetUp { user: Some(&user) });
        assert_eq!(next(&known), step);
    }
}
