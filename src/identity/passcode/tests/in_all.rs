//! What is counted against one address in all, and what a code that no longer works is replaced by.

use super::*;

impl Bench {
    /// Asks for a code as somebody who has the link of this guest's invitation; the digits, if there was a mail.
    async fn code_by_link(&self, guest: u128) -> Option<String> {
        let (sam, client) = (sam(), IpAddr::V4(u32::try_from(guest << 8).unwrap().into()));
        let asks = (client, Some(UserId(uuid::Uuid::from_u128(guest))));
        let (asked, _) = self.passcodes.ask(&self.tenant, &JOURNEY, &sam, asks, &[]).await.unwrap();
        let outbox = |digits: &str| RecordKey::in_tenant(self.tenant.id, kind::OUTBOX, &[digits.as_bytes()]);
        let digits = Mutex::new(String::new());
        let note = |batch: Batch, code: &NewCode| {
            *digits.lock().unwrap() = code.digits.expose().to_owned();
            Ok(batch.put(&outbox(code.digits.expose()), &guest.to_string()))
        };
        self.passcodes.send(asked, true, note).await.unwrap();
        let digits = digits.into_inner().unwrap();
        self.store.get(&outbox(&digits)).await.unwrap().map(|_| digits)
    }

    async fn guess_by_link(&self, guest: u128, typed: &str) -> Result<VerifiedEmail, Code> {
        let guest = Some(UserId(uuid::Uuid::from_u128(guest)));
        self.passcodes.verify(self.tenant.id, &JOURNEY, &sam(), typed, guest, &[]).await.map(|(email, _)| email)
    }
}

/// O-04, O-02: however many guests have been made of one address, 20 codes a day are sent there and 60 guesses looked at; and
/// a day later there are more.
#[tokio::test]
async fn o_02_o_04_many_guests_of_one_address_have_one_allowance() {
    let bench = bench();
    for _ in 0..2 {
        let (mut sent, mut compared, mut last) = (0, 0, None);
        for guest in 1..=100 {
            let Some(code) = bench.code_by_link(guest).await else { continue };
            sent += 1;
            for _ in 0..5 {
                compared += usize::from(bench.guess_by_link(guest, &wrong(&code)).await == Err(Code::CodeWrong));
            }
            last = Some((guest, code));
        }
        assert_eq!((sent, compared), (12, 60), "and no code that could not be used");
        let (guest, code) = last.unwrap();
        assert_eq!(bench.guess_by_link(guest, &code).await, Err(Code::TooManyCodes), "the right one neither");
        bench.clock.advance(24 * 3600);
    }
    let mut sent = 0;
    for guest in 1..=100 {
        sent += usize::from(bench.code_by_link(guest).await.is_some());
    }
    assert_eq!(sent, 20);
}

/// O-05: strangers who do what they can for days leave enough for who has a link.
#[tokio::test]
async fn o_05_strangers_leave_some_of_all_guesses_and_codes() {
    let bench = bench();
    for minute in 0..3 * 24 * 60_u32 {
        let journey = u128::from(minute).to_be_bytes();
        if bench.ask(&bench.tenant, journey, &sam(), true).await.is_some() {
            for _ in 0..5 {
                let _refused = bench.passcodes.verify(bench.tenant.id, &journey, &sam(), "00000000", None, &[]).await;
            }
        }
        if minute % 180 == 179 {
            let code = bench.code_by_link(7).await.expect("a code");
            assert_eq!(bench.guess_by_link(7, &wrong(&code)).await, Err(Code::CodeWrong));
            assert!(bench.guess_by_link(7, &code).await.is_ok());
        }
        bench.clock.advance(60);
    }
}

/// Who has guessed a code dead gets the next one at once, as often as codes are sent; of many who ask at once, one does.
#[tokio::test]
async fn a_dead_code_is_replaced_at_once_and_counted() {
    let bench = bench();
    let mut sent = 0;
    for guest in [9; 8] {
        let Some(code) = bench.code_by_link(guest).await else { break };
        sent += 1;
        assert_eq!(bench.code_by_link(guest).await, None, "it works: the next one has time");
        for _ in 0..5 {
            assert_eq!(bench.guess_by_link(guest, &wrong(&code)).await, Err(Code::CodeWrong));
        }
        assert!(bench.guess_by_link(guest, &code).await.is_err());
    }
    assert_eq!(sent, 3, "then the address waits");

    let bench = super::bench();
    let code = bench.code_by_link(9).await.unwrap();
    for _ in 0..5 {
        assert_eq!(bench.guess_by_link(9, &wrong(&code)).await, Err(Code::CodeWrong));
    }
    let sent = futures_util::future::join_all((0..20).map(|_| bench.code_by_link(9))).await;
    assert_eq!(sent.iter().flatten().count(), 1);
}

#[tokio::test]
async fn a_new_code_replaces_the_old_one() {
    let bench = bench();
    let first = bench.code().await;
    assert!(bench.ask(&bench.tenant, JOURNEY, &sam(), true).await.is_none(), "too soon");
    bench.clock.advance(30);
    let second = bench.code().await;
    assert_eq!(bench.guess(&first).await, Err(Code::CodeWrong));
    assert!(bench.guess(&second).await.is_ok());
}
