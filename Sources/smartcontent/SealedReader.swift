import Collector
import Cryptography
import Events
import Ports

/// Opens what is encrypted in events, with the keys that are left.
struct SealedReader {
  private(set) var opened = 0
  private(set) var erased = 0
  /// Neither: damaged, or moved there from another event.
  private(set) var unreadable = 0
  private let keys: any PersonKeyStore
  private let wrapping: PersonKeyWrapping
  private let site: String
  private var known: [Key128: PersonKey?] = [:]

  init(keys: any PersonKeyStore, wrapping: PersonKeyWrapping, site: String) {
    self.keys = keys
    self.wrapping = wrapping
    self.site = site
  }

  /// An event as one JSON object.
  mutating func line(of owned: PersonLog.Owned, at place: PersonLog.Place) throws -> String {
    let event = owned.event
    var json = JSONWriter()
    json.beginObject()
    let texts = [
      ("stream", place.stream), ("id", event.id), ("kind", event.kind.name), ("name", event.name),
      ("time", Timestamp.format(event.eventTime)), ("source", event.source),
      ("person", event.person.description),
      ("user", event.user == .zero ? "" : event.user.description),
    ]
    for (name, text) in texts where !text.isEmpty {
      json.key(name)
      json.string(text)
    }
    json.key("sequence")
    json.integer(place.sequence)
    json.key("index")
    json.integer(place.index)
    if place.isDeadLetter {
      json.key("dead_letter")
      json.bool(true)
    }
    let sealed = SealedTexts.find(in: event.payload)
    if !sealed.isEmpty {
      json.key("personal")
      json.beginArray()
      for text in sealed { try write(text, event.key, to: &json) }
      json.endArray()
    }
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }

  private mutating func write(
    _ sealed: SealedText, _ event: Key128, to json: inout JSONWriter
  ) throws {
    json.beginObject()
    json.key("what")
    json.string(String(sealed.kind.rawValue.dropFirst().dropLast()))
    if let key = try key(of: sealed.person), key.number == sealed.keyNumber {
      do throws(CryptographyError) {
        let value = try key.open(sealed, PersonKey.Binding(site: site, event: event))
        opened += 1
        json.key("place")
        json.string(value.place)
        json.key("value")
        if value.isJSON {
          value.value.withUnsafeBytes { json.raw($0) }
        } else {
          json.string(String(decoding: value.value, as: UTF8.self))
        }
      } catch {
        unreadable += 1
        json.key("unreadable")
        json.string("\(error)")
      }
    } else {
      erased += 1
      json.key("erased")
      json.bool(true)
    }
    json.endObject()
  }

  private mutating func key(of person: Key128) throws -> PersonKey? {
    if let known = known[person] { return known }
    let key = try keys.key(of: person).map { try wrapping.open($0) }
    known[person] = .some(key)
    return key
  }
}
