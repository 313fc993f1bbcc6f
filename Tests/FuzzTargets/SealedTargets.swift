@testable import Collector
import Events
import Ports

/// Readers of what is encrypted with persons' own keys, and of these keys.
enum SealedTargets {
  private static let sealed = SealedText(
    kind: .mail, person: Key128(low: 1, high: 2), keyNumber: 3, box: Array(0..<66))
  private static let text = String(decoding: sealed.text, as: UTF8.self)
  private static let json = #"{"email":"\#(text)","note":"ask \#(text)"}"#

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "sealed-text",
      seeds: [
        text.bytes, json.bytes, #"{"px":"\#(Base64.encode(json.bytes))"}"#.bytes,
        #"{"cx":"\#(String(decoding: Base64URL.encode(json.bytes), as: UTF8.self))"}"#.bytes,
        (text + text.dropLast()).bytes,
      ],
      words: ["[mail:v1.", "[phone:v1.", "[card:v1.", "[removed:v1.", "]", ".", text, "=", "\""],
      run: sealedText),
    FuzzTarget(
      "person-key", seeds: [stored, Array(stored.dropLast()), "SCP1".bytes], words: ["SCP1"],
      run: personKey),
    FuzzTarget(
      "json-place",
      seeds: [#"{"a":{"b/c":["x",{"~":"HERE"}]},"d":1}"#.bytes, "[[],{}]".bytes],
      words: JSONTargets.words, run: place),
  ]

  private static let wrapping: PersonKeyWrapping = {
    do {
      return try PersonKeyWrapping(secret: Array(0..<32))
    } catch {
      preconditionFailure("\(error)")
    }
  }()
  private static let person = Key128(low: 1, high: 2)
  private static let stored: [UInt8] = {
    do {
      return try wrapping.make(for: person).stored
    } catch {
      preconditionFailure("\(error)")
    }
  }()

  @Sendable private static func sealedText(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let whole = FuzzTargets.text(input)
    if let one = SealedText(whole) {
      try BrokenLaw.unless(one.text.elementsEqual(whole.utf8), "a sealed text has one form")
    }
    let bytes = Array(input)
    let found = SealedTexts.find(in: bytes)
    try BrokenLaw.unless(
      SealedTexts.rewrite(bytes) { _ in nil } == nil, "where nothing is changed nothing is written")
    let same = SealedTexts.rewrite(bytes) { $0.text }
    try BrokenLaw.unless((same == nil) == found.isEmpty, "what is found is what is replaced")
    if let same {
      try BrokenLaw.unless(SealedTexts.find(in: same) == found, "what was replaced is found again")
    }
    if let removed = SealedTexts.removed(from: bytes) {
      try BrokenLaw.unless(removed.count < bytes.count, "what is removed makes it shorter")
    } else {
      try BrokenLaw.unless(found.isEmpty, "what is found is removed")
    }
  }

  @Sendable private static func personKey(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    do throws(PersonKeyDamage) {
      let key = try wrapping.open(StoredPersonKey(person: person, bytes: Array(input)))
      precondition(key.stored.elementsEqual(input), "a key is what was stored")
      precondition(input.elementsEqual(stored), "nobody but the secret's holder makes a key")
    } catch {
      // It is said why it is none.
    }
  }

  @Sendable private static func place(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    for offset in [0, input.count / 2, max(0, input.count - 1)] {
      let pointer = JSONPlace.pointer(to: offset, in: input)
      try BrokenLaw.unless(
        pointer.isEmpty || pointer.utf8.first == UInt8(ascii: "/"), "a pointer begins with /")
    }
  }
}
