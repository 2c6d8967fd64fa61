# Mails. Names are cleaned of control characters before they come here.

mail-organisation-unnamed = Ihre Gastorganisation

mail-from = { $organisation } über { $operator }

mail-greeting = Guten Tag,
mail-greeting-name = Guten Tag { $name },

mail-passcode-subject = Ihr Code für { $organisation }
mail-passcode-asked = Jemand, vermutlich Sie selbst, möchte bei { $organisation } nachweisen, diese E-Mail-Adresse zu haben.
mail-passcode-asked-domain = Jemand, vermutlich Sie selbst, möchte bei { $organisation } ({ $domain }) nachweisen, diese E-Mail-Adresse zu haben.
mail-passcode-enter = Geben Sie diesen Code auf der Seite ein, die danach fragt:
mail-passcode-lifetime = { $minutes ->
    [one] Er gilt einmal und eine Minute lang.
   *[other] Er gilt einmal und { $minutes } Minuten lang.
}
mail-passcode-ignore = Sie haben keinen Code angefordert? Dann ignorieren Sie diese Nachricht: Ohne den Code kann niemand nachweisen, Ihre Adresse zu haben.
mail-passcode-never-tell = Geben Sie den Code niemandem weiter. Niemand wird Sie je anrufen oder Ihnen schreiben, um danach zu fragen.
mail-passcode-origin = Die Seite, die nach dem Code fragt, hat die Adresse { $origin }. Prüfen Sie die Adresse, bevor Sie tippen.
mail-automatic = Diese Nachricht wurde automatisch verschickt; Antworten werden nicht gelesen.
mail-contact = Fragen? Hier hilft man Ihnen: { $contact }

mail-invitation-subject = { $inviter } lädt Sie zur Zusammenarbeit mit { $organisation } ein
mail-invitation-subject-nobody = Einladung zur Zusammenarbeit mit { $organisation }
mail-invitation-warning = Nehmen Sie diese Einladung nur an, wenn Sie den Absender kennen und sie erwartet haben. Folgen Sie sonst dem Link nicht.
mail-invitation-heading = Einladung zu { $organisation }
mail-invitation-invited = { $inviter-in-full } lädt Sie ein, als Gast mit { $organisation-in-full } zusammenzuarbeiten.
mail-invitation-invited-nobody = { $organisation-in-full } lädt Sie ein, als Gast mitzuarbeiten.
mail-invitation-for = Die Einladung gilt für { $address }.
mail-invitation-message = { $inviter } schreibt:
mail-invitation-accept = Einladung annehmen
mail-invitation-copy = Derselbe Link, zum Kopieren in einen Browser:
mail-invitation-leads = Der Link öffnet { $origin }. Nachdem Sie angenommen haben, werden Sie zu { $host } weitergeleitet.
mail-invitation-leads-apps = Der Link öffnet { $origin }. Nachdem Sie angenommen haben, sehen Sie die Apps, die { $organisation } mit Ihnen teilt.
mail-invitation-until = Der Link gilt bis { $moment }.
mail-invitation-for-ever = Der Link läuft nicht ab.
mail-invitation-alone = Er ist nur für Sie bestimmt: Leiten Sie ihn nicht weiter.
mail-invitation-privacy = So geht { $organisation } mit Ihren Daten um:
mail-invitation-no-privacy = { $organisation } hat keine Datenschutzerklärung veröffentlicht.
mail-invitation-block = Sie möchten keine Einladungen von { $organisation } mehr? Hier können Sie sie abbestellen:
mail-invitation-answers = Diese Nachricht wurde automatisch verschickt; Antworten gehen an { $inviter-in-full }.

# To whoever the inviter wants to know of it.
mail-notice-subject = Jemand wurde zur Zusammenarbeit mit { $organisation } eingeladen
mail-notice-heading = Zu Ihrer Kenntnis
mail-notice-invited = { $inviter-in-full } hat { $guest } eingeladen, als Gast mit { $organisation-in-full } zusammenzuarbeiten, und möchte, dass Sie davon wissen.
mail-notice-invited-nobody = { $organisation-in-full } hat { $guest } eingeladen, als Gast mitzuarbeiten, und möchte, dass Sie davon wissen.
mail-notice-nothing-to-do = Sie müssen nichts tun: Der Link, mit dem die Einladung angenommen wird, steht in der Nachricht an den Gast.
