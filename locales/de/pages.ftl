# Jede Seite
next = Weiter
continue = Weiter
accept = Zustimmen
decline = Ablehnen
cancel = Abbrechen
sign-in = Anmelden
sign-out = Abmelden
start-again = Neu beginnen
my-apps = Meine Apps
back-to-app = Zurück zu { $app }
title-error = Fehler:
some-organisation = diese Organisation
foot-privacy = Datenschutzerklärung von { $tenant }
foot-trace = Referenz
foot-by = Gastzugang mit Vestibule
account-proven = Sie sind angemeldet als
account-typed = Sie melden sich an als
account-switch = Anderes Konto verwenden
account-retype = Andere Adresse verwenden

# Was eine Einladung sagt, bevor etwas gefragt wird
title-invited = Einladung:
invited-heading = Einladung zu { $tenant }
invited-by = { $inviter } lädt Sie ein, als Gast mit { $tenant } zusammenzuarbeiten.
invited-by-nobody = { $tenant } lädt Sie ein, als Gast mitzuarbeiten.
invited-leads = Nachdem Sie angenommen haben, werden Sie zu { $host } weitergeleitet.
invited-leads-apps = Nachdem Sie angenommen haben, sehen Sie die Apps, die { $tenant } mit Ihnen teilt.
invited-trust = Machen Sie nur weiter, wenn Sie wissen, wer Sie einlädt, und es erwartet haben.

# Adresse
identify-heading = Anmelden bei { $tenant }
identify-heading-app = Bei { $tenant } anmelden, um zu { $app } zu kommen
identify-lead = Verwenden Sie die E‑Mail-Adresse, die eingeladen wurde.
identify-lead-another = Geben Sie die E‑Mail-Adresse ein, die Sie stattdessen verwenden möchten.
identify-label = E‑Mail-Adresse
identify-hint = Zum Beispiel name@organisation.example

# Code per E-Mail
send-heading = Code per E‑Mail erhalten
send-lead = Wenn { $email } eingeladen wurde, senden wir einen Code dorthin. Er zeigt, dass das Postfach Ihnen gehört; ein Passwort brauchen Sie nicht.
send-lead-invited = Wir senden einen Code an { $email }. Er zeigt, dass das Postfach Ihnen gehört; ein Passwort brauchen Sie nicht.
send-button = Code senden
code-heading = Code eingeben
code-lead = Wenn { $email } eingeladen wurde, ist eine Nachricht mit einem Code aus 8 Ziffern dorthin unterwegs.
code-lead-invited = Eine Nachricht mit einem Code aus 8 Ziffern ist an { $email } unterwegs.
code-label = Code
code-hint =
    { $minutes ->
        [one] Er gilt einmal, { $minutes } Minute lang und nur in diesem Browser.
       *[other] Er gilt einmal, { $minutes } Minuten lang und nur in diesem Browser.
    }
code-none = Keine Nachricht erhalten?
code-none-folder = Sehen Sie im Ordner für unerwünschte E‑Mails nach. Es kann ein bis zwei Minuten dauern.
code-none-invited = Codes gehen nur an Personen, die eingeladen wurden. Wenn Sie meinen, eingeladen zu sein, fragen Sie Ihre Kontaktperson bei { $tenant }, welche Adresse eingeladen wurde.
code-none-often = An eine Adresse werden nur wenige Codes in der Stunde gesendet, gleich wer sie anfordert. Waren es zu viele, versuchen Sie es später noch einmal.
code-none-address = Prüfen Sie die Adresse oben auf Tippfehler. Sie können sie dort ändern.
code-resend = Neuen Code senden
code-resent = Wenn diese Adresse eingeladen wurde, ist ein neuer Code unterwegs, falls nicht gerade erst einer gesendet wurde. Der neueste gilt.
code-resent-invited = Ein neuer Code ist unterwegs, falls nicht gerade erst einer gesendet wurde. Der neueste gilt.

# Andere Wege
ways-heading = oder
way-organisation = Mit Ihrer Organisation anmelden
way-organisation-named = Bei { $organisation } anmelden
way-code = Code per E‑Mail erhalten
way-account = Ein Konto hier verwenden

# Ein Konto hier
password-lead = Mit Ihrem Konto bei { $tenant }.
password-label = Passwort
password-instead = Mit einem Passwort
password-new = Neues Passwort
password-new-hint = Mindestens 12 Zeichen. Ein paar Wörter, die nichts miteinander zu tun haben, merkt man sich leicht und errät man schwer.
password-set-up = Mit diesem Passwort einrichten
passkey-use = Mit einem Passkey anmelden
passkey-set-up = Passkey einrichten
passkey-failed = Das hat nicht geklappt. Versuchen Sie es noch einmal, oder wählen Sie unten einen anderen Weg.
account-none = Ich habe noch kein Konto oder komme nicht hinein
account-first-lead = Um hineinzukommen, brauchen Sie ein Konto bei { $tenant }. Sie richten es für { $email } ein.
account-there = Ich habe schon ein Konto
set-up-heading = Konto einrichten
set-up-lead = Wählen Sie, wie Sie sich von jetzt an bei { $tenant } anmelden. Einen Passkey bestätigen Sie mit Ihrem Fingerabdruck, Ihrem Gesicht oder der PIN Ihres Geräts und müssen sich nichts merken.
set-up-counts = Es gilt, sobald Sie allem zugestimmt haben, worum { $tenant } bittet. Wenn Sie vorher aufhören, richten Sie es noch einmal ein.
set-up-again = Womit Sie sich bisher angemeldet haben, gilt dann nicht mehr, und Sie werden überall sonst abgemeldet.

# Weitergehen
leaving-home-heading = Weiter zu { $name }
leaving-home-lead = Sie melden sich bei Ihrer eigenen Organisation an, { $name }, und kommen danach hierher zurück. Ihr Passwort bleibt dort.
leaving-app-heading = { $name } wird geöffnet
leaving-app-lead = Sie werden zu { $name } weitergeleitet.
leaving-invited-heading = Willkommen bei { $name }
leaving-invited-lead = Sie werden zu { $host } gebracht, wo { $name } Sie erwartet.
leaving-signed-out-heading = Sie sind abgemeldet
leaving-signed-out-lead = Sie werden zu { $name } zurückgeleitet.
resume-heading = Alles erledigt
resume-lead = Sie können jetzt zu { $tenant } weitergehen.
resume-lead-app = Sie können jetzt { $app } von { $tenant } öffnen.

# Berechtigungen
review-heading = Berechtigungen prüfen
review-lead = { $tenant } möchte Sie als Gast aufnehmen. Bitte lesen Sie, was das für Ihre Daten bedeutet.
review-lead-app = { $tenant } möchte { $app } mit Ihnen als Gast teilen. Bitte lesen Sie, was das für Ihre Daten bedeutet.
review-lead-again = { $tenant } bittet Sie, Ihre Zustimmung erneut zu prüfen.
review-requester = Angefragt von
review-invited-as = Die Einladung ging an { $address }. Sie nehmen sie mit dem oben gezeigten Konto an.
review-shared = Was geteilt wird
review-shared-name = Ihr Name
review-shared-email = Ihre E‑Mail-Adresse
review-shared-ids = Kennungen, die Ihr Konto von anderen unterscheiden
review-allowed = Was { $tenant } tun darf
review-allowed-receive = Diese Profildaten erhalten
review-allowed-log = Erfassen und protokollieren, was Sie in den Apps tun
review-allowed-use = Beides verwenden, um Ihnen Zugang zu geben und ihn zu schützen
review-privacy = Datenschutz
review-statement = Datenschutzerklärung von { $tenant } lesen
review-contact = Fragen zu Ihren Daten:
review-no-statement = { $tenant } hat keine Datenschutzerklärung angegeben.
review-no-privacy = { $tenant } hat weder eine Datenschutzerklärung noch eine Kontaktadresse für Sie angegeben.
review-trust = Stimmen Sie nur zu, wenn Sie { $tenant } vertrauen und diese Anfrage erwartet haben.
review-later = Nichts wird weitergegeben, bevor Sie zustimmen.

# Nutzungsbedingungen
terms-heading = Nutzungs­bedingungen
terms-lead = Bevor Sie eintreten, bittet { $tenant } um Ihre Zustimmung zu diesen Bedingungen.
terms-lead-app = Bevor Sie { $app } öffnen, bittet { $tenant } um Ihre Zustimmung zu diesen Bedingungen.
terms-position = Vereinbarung { $number } von { $of }
terms-kind-pdf = PDF
terms-kind-page = Dokument
terms-version = Version { $version }
terms-published = seit { $day }
terms-open = Dokument öffnen
terms-must-open = Öffnen Sie zuerst das Dokument in einem neuen Tab. Stimmen Sie dann hier zu.
terms-may-open = Öffnet sich in einem neuen Tab.
terms-opened = Sie haben dieses Dokument geöffnet.
terms-decline-hint = Wenn Sie ablehnen, werden Sie nicht angemeldet. Sie können jederzeit zurückkommen und zustimmen.
document-close = Sie können diesen Tab schließen und dort weitermachen, wo Sie hergekommen sind.

# Apps
panel-heading = Meine Apps
panel-greeting = Willkommen, { $name }
panel-lead =
    { $apps ->
        [one] { $tenant } teilt diese App mit Ihnen.
       *[other] { $tenant } teilt diese Apps mit Ihnen.
    }
panel-empty = { $tenant } hat noch keine App mit Ihnen geteilt
panel-ask = Zugang erhalten Sie hier:
panel-ask-host = Um Zugang zu erhalten, fragen Sie die Person bei { $tenant }, die Sie eingeladen hat.
panel-missing = Fehlt etwas? Fragen Sie hier:

# Das eingeladene Postfach
mailbox-heading = Gehört dieses Postfach Ihnen?
mailbox-lead-invited = { $tenant } hat { $address } eingeladen, und Sie sind mit einer anderen Adresse angemeldet. Um die Einladung mit diesem Konto anzunehmen, zeigen Sie, dass auch das eingeladene Postfach Ihnen gehört.
mailbox-lead-set-up = Um Ihr Konto bei { $tenant } einzurichten, zeigen Sie, dass { $address } Ihnen gehört. So kann es niemand sonst, und Sie kommen wieder hinein, falls Sie verlieren, womit Sie sich anmelden.
mailbox-lead-address = Um zu ändern, was { $tenant } an { $address } sendet, zeigen Sie, dass dieses Postfach Ihnen gehört.

# Verlassen
panel-leave = { $tenant } verlassen
leave-heading = { $tenant } verlassen
leave-identify-lead = Zeigen Sie zuerst, wer Sie sind. Verwenden Sie die E‑Mail-Adresse Ihres Gastkontos.
leave-lead = Sie geben Ihr Gastkonto bei { $tenant } auf. Das bedeutet:
leave-ends-access = Sie können nicht mehr öffnen, was { $tenant } mit Ihnen teilt.
leave-ends-sessions = Sie werden sofort auf allen Ihren Geräten abgemeldet.
leave-days = 30 Tage lang kann eine Administratorin oder ein Administrator von { $tenant } Ihr Gastkonto so wiederherstellen, wie es war. Danach wird es endgültig gelöscht.
leave-elsewhere = Was Sie in anderen Organisationen nutzen und Ihr eigenes Konto bleiben, wie sie sind.
leave-ask = Bei Fragen, oder wenn Sie es sich anders überlegen:
leave-button = { $tenant } verlassen
leave-stay = Bleiben
left-heading = Sie haben { $tenant } verlassen
left-lead = Ihr Gastkonto bei { $tenant } ist beendet, und Sie sind auf allen Ihren Geräten abgemeldet.

# Einladungen per Mail
invitations-heading = Einladungen per E‑Mail von { $tenant }
invitations-identify-lead = Geben Sie die E‑Mail-Adresse ein, an die die Einladung ging.
invitations-allowed = { $tenant } kann Einladungen an { $address } senden.
invitations-blocked = { $tenant } sendet keine Einladungen mehr an { $address }.
invitations-what = Es geht nur um Einladungen. Bestehende Gastkonten bleiben, wie sie sind, und Codes zum Anmelden werden weiter gesendet, wenn Sie danach fragen.
invitations-block = Keine Einladungen mehr
invitations-allow = Einladungen wieder zulassen

# Eine Einladung noch einmal
refusal-send-again = Offene Einladung zusenden lassen
again-heading = Ihre Einladung von { $tenant }
again-lead = Wenn { $tenant } die Adresse { $address } eingeladen hat und die Einladung noch nicht angenommen wurde, senden wir eine neue dorthin. Die Links früherer Einladungen enden damit.
again-button = Zusenden
again-asked = Wenn eine Einladung an { $address } darauf wartet, angenommen zu werden, ist eine neue dorthin unterwegs, es sei denn, gerade eben wurde eine gesendet.
again-none = Nichts kommt an? Sehen Sie im Ordner für unerwünschte Nachrichten nach, prüfen Sie die Adresse auf Tippfehler, oder fragen Sie Ihre Kontaktperson bei { $tenant }, welche Adresse eingeladen wurde.

# Abmelden
out-heading = Abmelden?
out-lead = Damit endet Ihre Sitzung bei { $tenant } in diesem Browser.
out-lead-app = { $app } möchte Sie abmelden. Damit endet Ihre Sitzung in diesem Browser.
out-stay = Angemeldet bleiben
signed-out-heading = Sie sind abgemeldet
signed-out-lead = Ihre Sitzung bei { $tenant } ist beendet.
signed-out-home = Möglicherweise sind Sie bei { $organisation } noch angemeldet. Melden Sie sich an gemeinsam genutzten Computern auch dort ab.
signed-out-again = Wieder anmelden

# Ablehnungen
refusal-organisation = Dieser Link führt zu
refusal-home = Ihre Organisation
refusal-invited-as = Eingeladene Adresse
refusal-ask = Hier hilft man Ihnen:
refusal-code = Code
organisation-label = Domain der Organisation
organisation-hint = Zum Beispiel contoso.example
declined-heading = Sie wurden nicht angemeldet

# Tage und Sprachen
day = { $day }. { $month } { $year }
month-1 = Januar
month-2 = Februar
month-3 = März
month-4 = April
month-5 = Mai
month-6 = Juni
month-7 = Juli
month-8 = August
month-9 = September
month-10 = Oktober
month-11 = November
month-12 = Dezember
language-da = Dänisch
language-de = Deutsch
language-en = Englisch
language-es = Spanisch
language-fr = Französisch
language-it = Italienisch
language-ja = Japanisch
language-nl = Niederländisch
language-pl = Polnisch
language-pt = Portugiesisch
language-sv = Schwedisch
language-zh = Chinesisch
