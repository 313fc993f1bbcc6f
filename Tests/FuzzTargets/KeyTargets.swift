@testable import Collector
import Events

/// What the collector reads besides events: the file of write keys, requests about them, its secret, and
/// dead letters that are read once more.
enum KeyTargets {
  private static let file = """
    {"version":1,"keys":[
    {"id":"k_7f3qz2mb","sha256":"\(String(repeating: "0a", count: 32))","site":"default","source":"web",
    "created_at":"2026-11-23T09:00:00.000Z","expires_at":"2026-11-24T09:00:00.000Z",
    "policy":{"origins":["https://www.example.org"],"events_per_second_max":500,"honours_dnt":true}}
    ]}
    """

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "key-file", seeds: [file.bytes, #"{"version":1,"keys":[]}"#.bytes],
      words: words(["version", "keys", "policy", "origins", "sha256", "id"]), run: keys),
    FuzzTarget(
      "key-request",
      seeds: [
        #"{"site":"default","source":"web","value":"wk_demo","policy":{"origins":[]}}"#.bytes,
        #"{"overlap_seconds":86400}"#.bytes,
      ], words: words(["site", "policy", "overlap_seconds"]), run: requests),
    FuzzTarget(
      "link-secret", seeds: [String(repeating: "0aF", count: 22).bytes], words: ["\n", " ", "00"],
      run: secret),
    FuzzTarget(
      "resend",
      seeds: [
        pair("segment /v1/batch batch[3]", #"{"type":"track","event":"x","userId":"u"}"#),
        pair("pixel /p.gif", "k=dev&uid=u&t=click"),
        pair("matomo /matomo.php requests[0]", #""?idsite=dev&rec=1""#),
        pair("cloudevents /ce", #"{"specversion":"1.0","id":"1","source":"/s","type":"x"}"#),
      ], words: ["batch[1]", "requests[2]", "data[0]", "e[0]", " ", "/v1/e", "/i", "[10000]"],
      run: resend),
  ]

  @Sendable private static func keys(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    do throws(KeyFormatError) {
      let keys = try KeyFormat.keys(Array(input))
      let again = try KeyFormat.keys(KeyFormat.file(keys))
      precondition(again == keys, "keys come back from their file")
    } catch {
      // The whole file is refused.
    }
  }

  @Sendable private static func requests(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    do throws(KeyFormatError) {
      _ = try KeyFormat.draft(Array(input))
    } catch {
      // It is said what is wrong with it.
    }
    do throws(KeyFormatError) {
      let overlap = try KeyFormat.overlap(Array(input))
      precondition((0...KeyStore.overlapMicrosMax).contains(overlap), "an overlap is in range")
    } catch {
      // It is said what is wrong with it.
    }
  }

  @Sendable private static func secret(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    do throws(SharedSecretError) {
      let secret = try SharedSecret.links.parse(text(input), from: "a file")
      precondition(secret.count >= SharedSecret.byteCount, "a secret is long enough")
    } catch {
      // It is said what is wrong with it.
    }
  }

  private static let reading = DeadLetterReading(
    mapping: CompiledMapping(ProtocolTargets.mapping))

  @Sendable private static func resend(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let (place, body) = halves(input)
    let name = text(place)
    let letter = DeadLetter(code: "x", detail: "", place: name, body: Array(body))
    let outcome = reading.read(
      letter, site: "default", source: "\(name.prefix { $0 != " " })/dev",
      receivedAt: ProtocolTargets.now, uniqueID: "again")
    if case .accepted(let events) = outcome {
      for event in events { try ProtocolTargets.check(event) }
    }
  }
}
