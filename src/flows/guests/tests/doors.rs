//! What ends a session ends it at once, for doors and for refresh tokens.

use std::{path::Path, time::Duration};

use jiff::SignedDuration;

use super::*;
use crate::{
    config::Config,
    domain::{AppId, SessionId},
    flows::{Vestibule, live, tokens},
    live::{Live, SessionStanding},
    oidc::{
        Scopes,
        grant::{ClientCredentials, CodeGrant, Grant, GrantId, Limits, RefreshFamily, TokenRequest, code::SignIn},
    },
    server,
};

const CONFIG: &str = "public_url = \"https://vestibule.example\"\ndata = \".\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
    [mail]\nfrom_name = \"x\"\nfrom = \"x@contoso.example\"\nfolder = \"mail\"\n";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A server that follows its store, and a guest who is signed in to an app.
struct Running {
    scene: Scene,
    vestibule: Arc<Vestibule>,
    user: UserId,
    app: AppId,
    began: Timestamp,
    follower: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        let scene = Scene::new().await;
        let app = scene.house.app("Expenses").await.id;
        let config = Config::parse(CONFIG, Path::new("/nowhere")).unwrap();
        let vestibule = server::build(&config, scene.house.foundation.clone()).unwrap();
        let watch = scene.store().watch();
        live::load_all(&vestibule).await.unwrap();
        let following = Arc::clone(&vestibule);
        let follower = tokio::spawn(async move { live::follow(&following, watch).await });
        let (user, _) = scene.invited("sam@fabrikam.example").await;
        scene.redeemed(user.id, "sam").await;
        // Terms are another matter.
        for agreement in scene.store().list(&records::agreements(tenant())).await.unwrap() {
            let mut changes = Changes::of(tenant());
            changes.write(|batch| batch.delete(&records::agreement(tenant(), agreement.value.id)));
            scene.store().commit(changes.batch).await.unwrap();
        }
        scene.house.clock.advance(60);
        let began = scene.house.foundation.now();
        Self { scene, vestibule, user: user.id, app, began, follower }
    }

    /// A refresh token of a session that begins now.
    async fn signed_in(&self) -> Secret {
        let (foundation, now) = (&self.scene.house.foundation, self.scene.house.foundation.now());
        let sign_in = SignIn {
            user: self.user,
            session: SessionId(uuid::Uuid::from_u128(1)),
            session_began: now,
            session_expires: now + SignedDuration::from_hours(12),
            auth_time: now,
            source: IdentitySource::HomeOrganisation,
            amr: Vec::new(),
            idp: "https://login.fabrikam.example".into(),
            email: None,
            epoch: 0,
        };
        let grant = CodeGrant {
            id: GrantId::random(&*foundation.entropy),
            tenant: tenant(),
            app: self.app,
            redirect_uri: [0; 32],
            code_challenge: None,
            nonce: None,
            scopes: Scopes::OFFLINE_ACCESS,
            sign_in,
            expires: now,
        };
        let limits = Limits::of(IdentitySource::HomeOrganisation);
        let (family, token) = RefreshFamily::begin(&grant, limits, &foundation.ring, now, &*foundation.entropy);
        let mut changes = Changes::of(tenant());
        changes.write(|batch| batch.put(&records::refresh_family(tenant(), family.id), &family));
        self.scene.store().commit(changes.batch).await.unwrap();
        token
    }

    async fn refresh(&self, token: &Secret) -> Result<(), Code> {
        let view = view(&self.scene.house.foundation).await;
        let credentials = ClientCredentials { id: self.app, secret: Some(Secret::new(SECRET)) };
        let request = TokenRequest { credentials, grant: Grant::Refresh { token: token.clone(), scopes: None } };
        tokens::answer(&self.vestibule, &view, request).await.map(|_| ())
    }

    fn standing(&self) -> SessionStanding {
        self.vestibule.live.session(tenant(), self.user, SessionId(uuid::Uuid::from_u128(1)), self.began)
    }

    async fn until(&self, standing: SessionStanding) {
        let told = async {
            while self.standing() != standing {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), told).await.expect("doors are told");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

#[tokio::test]
async fn g_14_what_ends_sessions_ends_them_at_every_door_and_their_refresh_tokens() {
    for act in ["block", "delete", "revoke", "reset"] {
        let running = Running::start().await;
        let operator = running.scene.operator();
        let token = running.signed_in().await;
        assert_eq!((running.standing(), running.refresh(&running.signed_in().await).await), (SessionStanding::Valid, Ok(())));
        running.scene.house.clock.advance(60);
        let expected = match act {
            "block" => operator.block(running.user, None).await.map(|_| SessionStanding::Blocked),
            "delete" => operator.delete(running.user, None).await.map(|_| SessionStanding::Blocked),
            "revoke" => operator.revoke_sessions(running.user, None).await.map(|_| SessionStanding::Ended),
            _ => operator.reset_redemption(running.user, None, None, None).await.map(|_| SessionStanding::Ended),
        };
        // What the store says is enough; no door has to be told first.
        assert_eq!(running.refresh(&token).await, Err(Code::GrantInvalid), "{act}");
        running.until(expected.unwrap()).await;
        if act == "delete" {
            operator.restore(running.user, None).await.unwrap();
            running.until(SessionStanding::Ended).await;
            assert_eq!(running.refresh(&token).await, Err(Code::GrantInvalid), "sessions stay ended");
        }
        if matches!(act, "delete" | "revoke") {
            assert_eq!(running.refresh(&running.signed_in().await).await, Ok(()), "a new session is another matter");
        }
    }
}

/// However a block and a refresh fall together, the block holds: what is refreshed after it gets nothing.
#[tokio::test]
async fn a_refresh_during_a_block_is_the_last() {
    for _ in 0..5 {
        let running = Running::start().await;
        let token = running.signed_in().await;
        running.scene.house.clock.advance(1);
        let operator = running.scene.operator();
        let (blocked, _) = tokio::join!(operator.block(running.user, None), running.refresh(&token));
        blocked.unwrap();
        assert_eq!(running.refresh(&token).await, Err(Code::GrantInvalid));
        running.until(SessionStanding::Blocked).await;
    }
}
