import Events
import Foundation
import HTTPClient
import JetStreamLog
import NATSClient
import Ports
import Testing

/// What is encrypted with persons' own keys on a running system, before and after they are erased.
@Suite("A person's own key on a running system", .serialized)
struct PersonProofTests {
  private static let mail = "ada.l@mail.example.org"
  private static let other = "bob.b@mail.example.org"

  @Test("What could be read of a person by the command can be read nowhere once the key is erased")
  func erase() async throws {
    let system = try await ProofSystem("person")
    let client = try HTTPClient()
    let home = String(system.environmentPath.dropLast("/env".count))
    let made = try await system.run([
      "keys", "add", "--home", home, "--site", "default", "--identifiers", "pseudonym",
      "--personal", "encrypt", "--value", "seal",
    ])
    #expect(made.code == 0 && made.text.contains("personal data encrypt"), "\(made.text)")
    func post(_ body: String) throws -> Int {
      try client.post(
        system.url + "/v1/track",
        headers: [
          HTTPHeader("Content-Type", "application/json"),
          HTTPHeader("Authorization", "Bearer seal"),
        ], body: Array(body.utf8)
      ).status
    }
    func event(_ id: String, _ who: String, _ properties: String, name: String = "x") -> String {
      #"{"type":"track","event":"\#(name)","messageId":"\#(id)",\#(who),"properties":{\#(properties)}}"#
    }
    let mail = #""email":"\#(Self.mail)""#
    // The collector looks for new keys once a second.
    #expect(
      try await eventually(withinMs: 10_000) {
        try post(event("a1", #""anonymousId":"device-a""#, mail)) == 200
      })
    let both = #""userId":"ada","anonymousId":"device-a""#
    #expect(try post(event("a2", both, #"\#(mail),"note":"ask \#(Self.mail)""#)) == 200)
    #expect(
      try post(event("a3", both, #""order_id":[1],\#(mail)"#, name: "Order Completed")) == 400)
    #expect(try post(event("b1", #""userId":"bob""#, #""email":"\#(Self.other)""#)) == 200)
    func run(_ arguments: String...) async throws -> String {
      let output = try await system.run(arguments)
      #expect(output.code == 0, "\(arguments): \(output.text)")
      return output.text
    }
    func show(_ person: String) async throws -> String {
      try await run("person", "show", "--site", "default", "--person", person)
    }

    let before = try await show("ada")
    #expect(before.components(separatedBy: Self.mail).count - 1 == 4, "\(before)")
    #expect(before.contains(#""place":"/properties/note""#))
    #expect(before.contains(#""dead_letter":true"#))
    #expect(before.contains("personal data of a person was shown"))
    #expect(!before.contains(Self.other))
    #expect(try await show("bob").contains(Self.other))
    let stored = try Self.frames(system)
    for frame in stored {
      #expect(!String(decoding: frame.bytes, as: UTF8.self).contains("mail.example"))
    }
    // Into the archive, as far as the pipelines have come.
    #expect(
      try await eventually(withinMs: 20_000) {
        _ = try await run("streams", "trim", "--before", "0s")
        return try !Self.files(below: "\(home)/archive", holding: "[mail:v1.").isEmpty
      })

    let plan = try await run("person", "erase", "--site", "default", "--person", "ada", "--dry-run")
    #expect(plan.contains("2 keys of site default would be erased"), "\(plan)")
    #expect(try await show("ada").contains(Self.mail))
    let erased = try await run("person", "erase", "--site", "default", "--person", "ada")
    #expect(erased.contains("2 keys of site default erased for ever"), "\(erased)")

    // Neither in the log and its archive nor in a backup of events that is restored.
    try await Self.restore(stored, system)
    let after = try await show("ada")
    #expect(!after.contains(Self.mail))
    let erasedCount = after.components(separatedBy: #""erased":true"#).count - 1
    #expect(erasedCount >= 4, "\(after)")
    #expect(try await show("bob").contains(Self.other))
    let nothing = try await run("person", "erase", "--site", "default", "--person", "ada")
    #expect(nothing.contains("there is no key"))

    // What comes later gets a new key.
    let later = #""email":"ada.new@mail.example.org""#
    #expect(try post(event("a4", both, later)) == 200)
    #expect(try post(event("b2", #""userId":"bob""#, #""email":"\#(Self.other)""#)) == 200)
    let again = try await show("ada")
    #expect(again.contains("ada.new@mail.example.org") && !again.contains(Self.mail))
    #expect(try await show("bob").components(separatedBy: Self.other).count - 1 >= 2)

    let metrics = try client.get(system.url + "/metrics").text
    #expect(metrics.contains("smartcontent_person_keys_erased_total 2"))
    await system.stop()
    #expect(try Self.files(below: home, holding: "mail.example.org").isEmpty)
    #expect(await !system.output().contains("mail.example.org"))
  }

  /// All frames of events and dead letters, as a backup has them.
  private static func frames(
    _ system: ProofSystem
  ) throws -> [(stream: String, bytes: [UInt8])] {
    let log = try system.log
    var frames: [(stream: String, bytes: [UInt8])] = []
    for stream in ["events-00", "events-01", "events-02", "events-03", "dead-letters"] {
      let bounds = try log.bounds(stream: stream)
      guard bounds.last >= bounds.first, bounds.last > 0 else { continue }
      for sequence in bounds.first...bounds.last {
        let frame = try log.frame(stream: stream, sequence: sequence)
        let bytes = withExtendedLifetime(frame) { Array(frame.bytes) }
        let kind = try bytes.withUnsafeBytes { try FrameView($0).header.kind }
        if kind != .heartbeat { frames.append((stream, bytes)) }
      }
    }
    return frames
  }

  private static func restore(
    _ frames: [(stream: String, bytes: [UInt8])], _ system: ProofSystem
  ) async throws {
    let address = try NATSAddress(try system.environment["SMARTCONTENT_NATS"] ?? "")
    let publisher = try JetStreamPublisher(address: address, name: "restored")
    var left = frames.count
    for (index, frame) in frames.enumerated() {
      publisher.publish(
        stream: frame.stream, messageID: "restored-\(index)", frame: frame.bytes,
        token: UInt64(index))
    }
    #expect(
      await eventually(withinMs: 10_000) {
        for completion in publisher.poll(timeoutMs: 100) {
          if case .stored = completion.outcome { left -= 1 }
        }
        return left == 0
      })
  }

  private static func files(below home: String, holding text: String) throws -> [String] {
    let wanted = Data(text.utf8)
    var found: [String] = []
    let all = try #require(FileManager.default.enumerator(atPath: home))
    for case let file as String in all {
      let url = URL(fileURLWithPath: "\(home)/\(file)")
      guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else {
        continue
      }
      if try Data(contentsOf: url).range(of: wanted) != nil { found.append(file) }
    }
    return found
  }
}
