import Cryptography
import Events

/// What the gates have encrypted of one request, and with which keys: those that are not durable yet must be,
/// before the request is answered.
///
/// A person without a key in memory gets a new one at once, so that no event has to wait at the gate. Whether
/// it stays the person's key is settled behind the gates (``PersonKeyVault/settle(_:completion:)``); where the
/// person turns out to have one already, what was encrypted is encrypted again with that.
///
/// Of one thread.
final class SealClaims {
  /// One event with something encrypted.
  struct Event {
    var key: Key128
    var site: String
    var person: Key128
    /// As it was in front of the gate.
    var fingerprint: UInt32

    var binding: PersonKey.Binding { PersonKey.Binding(site: site, event: key) }
  }

  private var keys: [Key128: PersonKey] = [:]
  private var isNew: Set<Key128> = []
  private var events: [Event] = []
  private var sealers: [PayloadSealer] = []
  /// Why something was removed that was to be encrypted.
  private(set) var failure: PersonKeyFailure?
  /// Events of which something was.
  private(set) var failed = 0

  /// - Returns: nil where the event's person can have no key now; what is personal is to be removed.
  func sealer(of event: IncomingEvent, site: String, _ vault: PersonKeyVault) -> PayloadSealer? {
    // A device may be used by several people: what a user does who is known is the user's.
    let person = event.user == .zero ? event.person : event.user
    do throws(PersonKeyFailure) {
      let key: PersonKey
      if let known = keys[person] {
        key = known
      } else {
        let found = try vault.key(of: person)
        key = found.key
        keys[person] = found.key
        if !found.isDurable { isNew.insert(person) }
      }
      events.append(
        Event(key: event.key, site: site, person: person, fingerprint: event.fingerprint))
      let sealer = PayloadSealer(key, PersonKey.Binding(site: site, event: event.key))
      sealers.append(sealer)
      return sealer
    } catch {
      failure = error
      failed += 1
      return nil
    }
  }

  /// What is left to be settled; nil where nothing is.
  var unsettled: UnsettledSeals? {
    guard !isNew.isEmpty || failure != nil else { return nil }
    return UnsettledSeals(
      keys: keys.filter { isNew.contains($0.key) },
      events: events.filter { isNew.contains($0.person) }, failure: failure)
  }

  /// Values that were encrypted.
  var sealed: Int { sealers.reduce(0) { $0 + $1.sealed } }
}

/// Why a person can have no key now. The raw value is that of metrics.
enum PersonKeyFailure: String, Error, CaseIterable, Sendable {
  /// The store does not answer, or did not a moment ago.
  case away
  /// Too much waits for it.
  case overloaded
  /// The store takes no more keys.
  case full
  /// A stored key was made with another secret, or is damaged.
  case unreadable
  /// No random numbers, or no cipher.
  case cryptography
}
