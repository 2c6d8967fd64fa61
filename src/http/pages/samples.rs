//! Every page in the states that differ, filled with likely texts or, all of them at once, with a hostile one.

mod errands;
mod invited;

use jiff::Timestamp;

use super::{markdown::markdown, *};
use crate::{
    domain::{
        journey::Errand,
        tenant::{Color, IdentitySource},
    },
    error::Code,
    i18n::Language,
};

/// What the samples are filled with.
#[derive(Clone, Copy)]
pub(super) struct Filling {
    pub(super) language: Language,
    /// Takes the place of every text and every link.
    pub(super) hostile: Option<&'static str>,
}

/// A rendered page.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) html: String,
    pub(super) response: Response,
}

impl Filling {
    fn text(self, text: &str) -> String {
        self.hostile.unwrap_or(text).to_owned()
    }

    fn some(self, text: &str) -> Option<String> {
        Some(self.text(text))
    }

    fn link(self, link: &str) -> Link {
        self.hostile.unwrap_or(link).into()
    }

    fn contact(self) -> Option<Contact> {
        Some(Contact(self.text("the Contoso service desk, +44 20 7946 0000")))
    }

    /// A tenant without account: what a visitor sees first.
    fn chrome(self) -> Chrome {
        Chrome {
            language: self.language,
            tenant: Some(TenantFace {
                name: self.text("Contoso"),
                domain: self.some("contoso.example"),
                logo: None,
                accent: Color::try_from("#0b5c63".to_owned()).ok(),
                privacy_statement: Some(self.link("https://contoso.example/privacy")),
            }),
            account: None,
            csrf: self.text("c2FtcGxlLXRva2Vu"),
            trace_id: None,
            https: true,
        }
    }

    fn with_account(self, proven: bool) -> Chrome {
        let label = self.text("ada.lovelace@fabrikam.example");
        let account = AccountInUse { label, proven, switch: Some(self.link("/journey/x/switch")) };
        Chrome { account: Some(account), ..self.chrome() }
    }

    fn way(self, source: IdentitySource, organisation: Option<&str>) -> OtherWay {
        OtherWay { source, organisation: organisation.map(|name| self.text(name)), action: self.link("/journey/x/way") }
    }

    fn terms(self) -> Terms {
        Terms {
            chrome: self.with_account(true),
            action: self.link("/journey/x/terms"),
            open_action: self.link("/journey/x/terms/open"),
            title: self.text("Terms for guests"),
            kind: DocumentKind::Pdf,
            document_language: "en".parse().unwrap(),
            version: 3,
            published: published(),
            document: self.text("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            app: self.some("Expenses"),
            must_open: true,
            opened: false,
            panel: None,
            position: (1, 2),
            error: None,
        }
    }

    fn code(self) -> EnterCode {
        EnterCode {
            chrome: self.with_account(false),
            action: self.link("/journey/x/code"),
            send: self.link("/journey/x/send"),
            email: self.text("ada.lovelace@fabrikam.example"),
            of_invited: false,
            minutes: 10,
            resent: false,
            other_ways: Vec::new(),
            error: None,
        }
    }

    fn passkey(self) -> PasskeyForm {
        PasskeyForm {
            action: self.link("/journey/x/passkey"),
            options: self.text(r#"{"publicKey":{"challenge":"AAAA","allowCredentials":[]}}"#),
        }
    }

    fn tile(self, name: &str, description: Option<&str>) -> Tile {
        Tile {
            name: self.text(name),
            description: description.map(|d| self.text(d)),
            start: self.link("/contoso.example/signin/x/y"),
        }
    }
}

fn published() -> Timestamp {
    "2026-11-02T08:00:00Z".parse().unwrap()
}

const DOCUMENT: &str = "# 1. What this is about\n\nContoso shares **Expenses** with you so that you can hand in what you have \
paid on its behalf. These terms say what Contoso may expect from you, and what you may expect from Contoso.\n\n# 2. What you \
agree to\n\n1. Use the app for work with Contoso only.\n2. Keep what you see there to yourself.\n3. Tell Contoso at once when \
you think that somebody else has used your account.\n\n# 3. Your data\n\n| what | how long |\n|---|---|\n| Receipts | 10 years |\n\
| Sign-ins | 90 days |\n\nQuestions? Write to [the privacy team](mailto:privacy@contoso.example).\n";

fn sample(name: &'static str, page: impl Page) -> Sample {
    Sample { name, html: page.render().unwrap(), response: respond(&page) }
}

/// All samples, named for files.
pub(super) fn all(fill: Filling) -> Vec<Sample> {
    let identify = Identify {
        chrome: fill.chrome(),
        action: fill.link("/journey/x/identify"),
        errand: None,
        app: fill.some("Expenses"),
        invited: None,
        another: false,
        cancel: Some(fill.link("/journey/x/cancel")),
        email: String::new(),
        error: None,
    };
    let ways = vec![fill.way(IdentitySource::HomeOrganisation, Some("Fabrikam")), fill.way(IdentitySource::LocalAccount, None)];
    let password = Password {
        chrome: fill.chrome(),
        action: fill.link("/journey/x/password"),
        app: None,
        invited: None,
        email: fill.text("ada.lovelace@fabrikam.example"),
        passkey: None,
        set_up: None,
        set_up_first: false,
        other_ways: vec![],
        error: None,
    };
    let account = Password { passkey: Some(fill.passkey()), set_up: Some(fill.link("/journey/x/set-up")), ..password.clone() };
    let set_up = SetUpAccount {
        chrome: fill.with_account(true),
        action: fill.link("/journey/x/new-password"),
        passkey: Some(fill.passkey()),
        name: fill.text("ada.lovelace@fabrikam.example"),
        again: false,
        error: None,
    };
    let review = ReviewPermissions {
        chrome: fill.with_account(true),
        action: fill.link("/journey/x/review"),
        app: fill.some("Expenses"),
        invited_as: None,
        privacy_statement: Some(fill.link("https://contoso.example/privacy")),
        privacy_contact: fill.contact(),
        again: false,
    };
    let leaving = Leaving {
        chrome: fill.chrome(),
        destination: Destination::HomeOrganisation,
        name: fill.text("Fabrikam"),
        to: fill.link("https://login.fabrikam.example/authorize?client_id=x&state=y"),
    };
    let refusal = |code| Refusal {
        start_again: Some(fill.link("/contoso.example/signin/x/y")),
        contact: fill.contact(),
        ..Refusal::new(Chrome { trace_id: fill.some("6b1f0c9a2d7e4f58"), ..fill.with_account(true) }, code)
    };
    let nobody = |code| {
        let chrome = Chrome { tenant: None, account: None, trace_id: fill.some("6b1f0c9a2d7e4f58"), ..fill.chrome() };
        Refusal::new(chrome, code)
    };
    let organisation = |error| OrganisationForm {
        action: fill.link("/signin/x/y"),
        value: fill.text(""),
        fields: vec![Field { name: fill.text("returnTo"), value: fill.text("/a") }],
        error,
    };
    let panel = AppsPanel {
        chrome: fill.with_account(true),
        name: fill.text("Ada Lovelace"),
        tiles: vec![
            fill.tile("Expenses", Some("Hand in what you have paid for Contoso")),
            fill.tile("Project room", Some("Plans, papers and minutes of the Northwind project")),
            fill.tile("Supplier portal", None),
        ],
        contact: fill.contact(),
        sign_out: fill.link("/contoso.example/logout"),
        leave: Some(fill.link("/contoso.example/leave")),
    };
    let declined = Declined {
        chrome: fill.with_account(true),
        code: Code::TermsDeclined,
        start_again: Some(fill.link("/contoso.example/signin/x/y")),
        back_to_app: Some((fill.text("Expenses"), fill.link("https://expenses.contoso.example/cb?error=access_denied"))),
    };
    let logo = TenantFace { logo: Some(fill.link("/assets/logo/x")), accent: None, ..fill.chrome().tenant.unwrap() };
    let mut all = errands::all(fill);
    all.extend(invited::all(fill, &identify, &account));
    all.extend([
        sample("identify", identify.clone()),
        sample("identify-another", Identify { another: true, cancel: None, ..identify.clone() }),
        sample(
            "identify-error",
            Identify { email: fill.text("ada@"), error: Some(Code::AddressMalformed), app: None, ..identify.clone() },
        ),
        sample("identify-send-again", Identify { errand: Some(Errand::SendAgain), app: None, ..identify.clone() }),
        sample("identify-leave", Identify { errand: Some(Errand::Leave), app: None, ..identify.clone() }),
        sample("identify-invitations", Identify { errand: Some(Errand::BlockInvitations), app: None, ..identify.clone() }),
        sample("identify-logo", Identify { chrome: Chrome { tenant: Some(logo), ..fill.chrome() }, ..identify }),
        sample(
            "send-code",
            SendCode {
                chrome: fill.with_account(false),
                action: fill.link("/journey/x/send"),
                invited: None,
                email: fill.text("ada.lovelace@fabrikam.example"),
                of_invited: false,
                other_ways: ways,
                error: None,
            },
        ),
        sample("enter-code", fill.code()),
        sample("enter-code-error", EnterCode { error: Some(Code::CodeWrong), of_invited: true, ..fill.code() }),
        sample(
            "enter-code-resent",
            EnterCode { resent: true, other_ways: vec![fill.way(IdentitySource::HomeOrganisation, None)], ..fill.code() },
        ),
        sample("password", password.clone()),
        sample("password-error", Password { error: Some(Code::PasswordWrong), app: fill.some("Expenses"), ..password }),
        sample("account", account.clone()),
        sample("account-error", Password { error: Some(Code::PasskeyRefused), ..account }),
        sample("set-up", set_up.clone()),
        sample("set-up-error", SetUpAccount { error: Some(Code::PasswordGuessable), again: true, ..set_up.clone() }),
        sample("set-up-password", SetUpAccount { passkey: None, ..set_up }),
        sample("leaving-home", leaving.clone()),
        sample("leaving-app", Leaving { destination: Destination::App, ..leaving.clone() }),
        sample("leaving-signed-out", Leaving { destination: Destination::AfterSignOut, ..leaving }),
        sample(
            "form-post",
            FormPost {
                chrome: fill.chrome(),
                app: fill.text("Expenses"),
                to: fill.link("https://expenses.contoso.example:8443/cb"),
                fields: vec![Field { name: fill.text("code"), value: fill.text("x") }],
            },
        ),
        sample(
            "resume",
            Resume { chrome: fill.with_account(true), action: fill.link("/journey/x/resume"), app: fill.some("Expenses") },
        ),
        sample(
            "leaving-invited",
            Leaving {
                chrome: fill.chrome(),
                destination: Destination::Invited,
                name: fill.text("Contoso"),
                to: fill.link("https://www.contoso.example/welcome"),
            },
        ),
        sample("resume-panel", Resume { chrome: fill.with_account(true), action: fill.link("/journey/x/resume"), app: None }),
        sample("review", review.clone()),
        sample(
            "review-bare",
            ReviewPermissions {
                invited_as: fill.some("a.king@fabrikam.example"),
                app: None,
                privacy_statement: None,
                privacy_contact: None,
                ..review.clone()
            },
        ),
        sample("review-again", ReviewPermissions { again: true, privacy_statement: None, ..review }),
        sample("terms", fill.terms()),
        sample("terms-not-opened", Terms { error: Some(Code::TermsNotOpened), ..fill.terms() }),
        sample(
            "terms-panel",
            Terms {
                kind: DocumentKind::Markdown,
                document_language: "fr".parse().unwrap(),
                panel: Some(markdown(DOCUMENT)),
                must_open: false,
                position: (1, 1),
                app: None,
                ..fill.terms()
            },
        ),
        sample("terms-opened", Terms { opened: true, position: (2, 2), error: Some(Code::TermsChanged), ..fill.terms() }),
        sample(
            "document",
            Document {
                chrome: fill.chrome(),
                title: fill.text("Terms for guests"),
                document_language: "en".parse().unwrap(),
                version: 3,
                published: published(),
                body: markdown(DOCUMENT),
            },
        ),
        sample("panel", panel.clone()),
        sample("panel-empty", AppsPanel { tiles: vec![], ..panel.clone() }),
        sample("panel-empty-nobody", AppsPanel { tiles: vec![], contact: None, ..panel }),
        sample(
            "refusal-not-invited",
            Refusal {
                expected_organisation: fill.some("Contoso (contoso.example)"),
                invited_as: fill.some("a***@fabrikam.example"),
                ..refusal(Code::NotInvited)
            },
        ),
        sample(
            "refusal-already-guest",
            Refusal {
                invited_as: fill.some("a***@northwind.example"),
                apps: Some(fill.link("/contoso.example")),
                start_again: None,
                ..refusal(Code::AlreadyGuest)
            },
        ),
        sample(
            "refusal-expired",
            Refusal {
                send_again: Some(fill.link("/contoso.example/invitation")),
                start_again: None,
                ..refusal(Code::InvitationExpired)
            },
        ),
        sample(
            "refusal-home-unreachable",
            Refusal {
                expected_organisation: fill.some("Contoso (contoso.example)"),
                home_organisation: fill.some("Fabrikam"),
                in_another_way: Some((IdentitySource::OneTimePasscode, fill.link("/journey/x"))),
                ..refusal(Code::HomeUnreachable)
            },
        ),
        sample("refusal-blocked", Refusal { leave: Some(fill.link("/contoso.example/leave")), ..refusal(Code::AccountBlocked) }),
        sample("refusal-not-assigned", Refusal { apps: Some(fill.link("/contoso.example")), ..refusal(Code::AppNotAssigned) }),
        sample("refusal-terms-owed", Refusal { go_on: Some(fill.link("/journey/x")), ..refusal(Code::TermsOwed) }),
        sample("refusal-common", Refusal { organisation_form: Some(organisation(None)), ..nobody(Code::TenantMissing) }),
        sample(
            "refusal-common-error",
            Refusal { organisation_form: Some(organisation(Some(Code::OrganisationMalformed))), ..nobody(Code::TenantMissing) },
        ),
        sample("refusal-unknown", Refusal { organisation_form: Some(organisation(None)), ..nobody(Code::TenantUnknown) }),
        sample("refusal-path", nobody(Code::PathUnknown)),
        sample("refusal-internal", nobody(Code::Internal)),
        sample("declined", declined.clone()),
        sample("declined-consent", Declined { code: Code::ConsentDeclined, back_to_app: None, ..declined }),
        sample(
            "sign-out-confirm",
            SignOutConfirm {
                chrome: fill.with_account(true),
                app: fill.some("Expenses"),
                action: fill.link("/contoso.example/logout"),
                stay: fill.link("/contoso.example"),
            },
        ),
        sample(
            "signed-out",
            SignedOut {
                chrome: fill.chrome(),
                home_organisation: fill.some("Fabrikam"),
                sign_in: Some(fill.link("/contoso.example")),
            },
        ),
    ]);
    all
}
