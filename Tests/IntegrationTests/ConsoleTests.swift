import Events
import Glibc
import HTTPClient
import LocalServers
import Synchronization
import Testing

/// The live page as a browser shows it, in front of the whole system.
///
/// Chromium runs headless with a budget of virtual time: it loads the page, follows the live stream
/// for as long, and prints what the page has become, or draws it.
@Suite(
  "The live page", .serialized, .endsWhatItShares,
  .enabled(if: Browser.path != nil, "needs Debian's chromium package: Scripts/setup --tests"))
struct ConsoleTests {
  @Test("says how to send a first event while there is none")
  func empty() async throws {
    let system = try await LiveSystem.shared()
    let page = try await Browser.page(system.url)
    #expect(!page.isHidden("hero"))
    #expect(page.isHidden("board"))
    #expect(page.html.contains("Waiting for the first event"))
    #expect(page.html.contains("curl \"\(system.url)/p.gif?k=dev&amp;t=impression"))
    #expect(page.html.contains(#"id="status" role="status" data-state="live""#))
  }

  @Test("shows campaigns and variants, totals and what became of the events")
  func numbers() async throws {
    let system = try await LiveSystem.shared()
    try await system.send(campaign: "spring", variant: "a", impressions: 8, clicks: 2)
    try await system.send(campaign: "spring", variant: "b", impressions: 2, clicks: 1)
    // Names come from outside: they must be shown and never run.
    let hostile = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    try await system.send(campaign: hostile, variant: "a", impressions: 1, clicks: 0)
    let page = try await Browser.page(system.url)
    #expect(page.isHidden("hero"))
    #expect(!page.isHidden("board"))
    #expect(page.text("impressions") == "11")
    #expect(page.text("clicks") == "3")
    #expect(page.text("ctr") == "27.27%")
    #expect(page.html.contains(#"<th scope="row">spring</th><td"#))
    #expect(page.html.contains(">30.00%<"))
    #expect(page.html.contains(">25.00%<"))
    #expect(page.html.contains("&lt;img src=x onerror=alert(1)&gt;"))
    #expect(page.text("part-on_time") == "14")
    #expect(page.text("sumNote") == "14 received = the sum of these")
    #expect(page.text("position")?.hasPrefix("1~") == true)
  }

  @Test("can be drawn for a desk and for a phone", arguments: ["1200,1400", "390,1700"])
  func draws(size: String) async throws {
    let system = try await LiveSystem.shared()
    let picture = try await Browser.picture(system.url, size: size)
    // A blank page of this size has some kilobytes.
    #expect(try TextFile.byteCount(picture) > 15_000)
  }

  @Test("is fed by a stream: a snapshot, changes, and no snapshot again for who has seen it all")
  func stream() async throws {
    let system = try await LiveSystem.shared()
    let query = """
      {"metrics":["impressions"],"dimensions":["campaign"],"date_range":"day",\
      "filters":[["is","campaign",["streamed"]]]}
      """
    let first = try system.listen(query, lastEventID: nil)
    #expect(await eventually { first.events.first?.name == "snapshot" })
    try await system.send(campaign: "streamed", variant: "a", impressions: 3, clicks: 0)
    #expect(
      await eventually {
        first.events.contains {
          $0.name == "change" && $0.data.contains(#"{"dimensions":["streamed"],"metrics":[3]}"#)
        }
      })
    first.stop()
    let last = try #require(first.events.last?.id)
    #expect(Position(last) != nil)
    // Heartbeats of the log may have moved on since: then a fresh snapshot is right.
    let second = try system.listen(query, lastEventID: last)
    #expect(
      await eventually {
        second.comments.contains("nothing newer") || second.events.first?.name == "snapshot"
      })
    second.stop()
  }

  @Test("shows events as they arrive, and who probably sent them and why")
  func debugger() async throws {
    let system = try await LiveSystem.shared()
    // Events are kept for who has asked.
    _ = try HTTPClient().get("\(system.url)/v1/debug/events")
    try await system.send(
      campaign: "watched", variant: "a", impressions: 1, clicks: 0,
      agent: "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/126.0.0.0")
    _ = try HTTPClient().get("\(system.url)/p.gif?k=nobody")
    let page = try await Browser.page("\(system.url)/debug")
    #expect(page.html.contains("impression</b> <span>watched"))
    #expect(page.html.contains(">bot: headless</span>"))
    #expect(page.html.contains(#"<span class="tag refused">refused</span>"#))
    #expect(page.html.contains("<b>unknown_write_key</b>"))
    #expect(page.text("counts")?.contains("1 refused") == true)
  }
}

/// `smartcontent dev` with empty servers of its own.
private final class LiveSystem: Sendable {
  let url: String
  private let program: ChildProgram
  private let sent = Mutex(0)

  private static let task = Task { try await LiveSystem() }

  static func shared() async throws -> LiveSystem { try await task.value }

  private init() async throws {
    let folder = try TemporaryFolder.make("console")
    let port = try TestServers.freePort()
    url = "http://127.0.0.1:\(port)"
    program = try SmartContentProgram.start(
      ["dev", "--home", "\(folder)/home", "--http", "127.0.0.1:\(port)"], name: "dev",
      folder: folder)
    let program = program
    TestExit.atEnd {
      program.signal(SIGTERM)
      // Its servers end with it at the latest.
      for _ in 0..<500 where program.ending == nil { poll(nil, 0, 10) }
    }
    try await SmartContentProgram.waitUntilReady(
      program, url: "\(url)/health/ready", withinMs: 60_000)
  }

  /// Sends pixels and returns once the query API counts them.
  func send(
    campaign: String, variant: String, impressions: Int, clicks: Int, agent: String? = nil
  ) async throws {
    let client = try HTTPClient()
    var position = Position(generation: 1)
    for index in 0..<impressions + clicks {
      let kind = index < impressions ? "impression" : "click"
      let answer = try client.get(
        "\(url)/p.gif?k=dev&t=\(kind)&cid=\(campaign)&cnt=post&var=\(variant)&ch=mail"
          + "&uid=u\(index)&eid=\(campaign)-\(variant)-\(index)",
        headers: agent.map { [HTTPHeader("User-Agent", $0)] } ?? [])
      #expect(answer.status == 200)
      // What a busy log left in the spool has none; it is in the accounting all the same.
      guard let text = answer.header("SmartContent-Position") else { continue }
      for (partition, sequence) in try #require(Position(text)).sequences {
        position.advance(partition: partition, to: sequence)
      }
    }
    let covered = try client.post(
      "\(url)/v1/query?after=\(position)&timeout=20",
      headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array(#"{"metrics":["impressions"],"date_range":"day"}"#.utf8))
    #expect(covered.status == 200, "\(covered.text)")
    // The page's accounting comes from commits, which follow the hot copy.
    let total = sent.withLock { sent in
      sent += impressions + clicks
      return sent
    }
    let isCommitted = try await eventually(withinMs: 20_000) {
      try client.get("\(url)/v1/accounting").text.contains("\"received\":\(total),")
    }
    #expect(isCommitted)
  }

  /// Follows a live stream on a thread of its own.
  func listen(_ query: String, lastEventID: String?) throws -> Listener {
    let escaped = query.utf8.map { byte in
      let digits = String(byte, radix: 16)
      return "%" + (digits.count == 1 ? "0" : "") + digits
    }.joined()
    return Listener(
      url: "\(url)/v1/stream?query=\(escaped)",
      headers: lastEventID.map { [HTTPHeader("Last-Event-ID", $0)] } ?? [])
  }
}

/// Server-sent events as they come.
private final class Listener: Sendable {
  struct Event: Sendable {
    var id = ""
    var name = ""
    var data = ""
  }

  private struct State {
    var text = ""
    var isStopped = false
  }

  private let state = Mutex(State())

  init(url: String, headers: [HTTPHeader]) {
    let thread = ListenerThread { [self] in
      do {
        _ = try HTTPClient(HTTPClientSettings(timeoutMs: 60_000)).stream(url, headers: headers) {
          bytes in
          state.withLock { state in
            state.text += String(decoding: bytes, as: UTF8.self)
            return !state.isStopped
          }
        }
      } catch {
        state.withLock { $0.text += ": failed \(error)\n\n" }
      }
    }
    thread.start()
  }

  func stop() { state.withLock { $0.isStopped = true } }

  private var blocks: [Substring] {
    let text = state.withLock { $0.text }
    var blocks = text.split(separator: "\n\n", omittingEmptySubsequences: false)
    blocks.removeLast()
    return blocks
  }

  var events: [Event] {
    blocks.filter { !$0.hasPrefix(":") }.map { block in
      var event = Event()
      for line in block.split(separator: "\n") {
        if line.hasPrefix("id: ") { event.id = String(line.dropFirst(4)) }
        if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
        if line.hasPrefix("data: ") { event.data = String(line.dropFirst(6)) }
      }
      return event
    }
  }

  var comments: [String] {
    blocks.filter { $0.hasPrefix(": ") }.map { String($0.dropFirst(2)) }
  }
}

/// Blocking work beside the tests' tasks.
private struct ListenerThread {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  func start() {
    final class Work {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let work = Unmanaged.passRetained(Work(body))
    pthread_create(
      &thread, nil,
      { pointer in
        if let pointer { Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    pthread_detach(thread)
  }
}

/// Headless Chromium.
private enum Browser {
  static let path = Chromium.path

  /// The page's elements after some seconds of its life.
  struct Page {
    var html: String

    /// The text of the element with this id, where it has no elements inside.
    func text(_ id: String) -> String? {
      guard let start = html.firstRange(of: "id=\"\(id)\"") else { return nil }
      let rest = html[start.upperBound...]
      guard let open = rest.firstIndex(of: ">") else { return nil }
      return String(rest[rest.index(after: open)...].prefix { $0 != "<" })
    }

    func isHidden(_ id: String) -> Bool {
      guard let start = html.firstRange(of: "id=\"\(id)\"") else { return true }
      return html[start.upperBound...].prefix { $0 != ">" }.contains("hidden")
    }
  }

  static func page(_ url: String) async throws -> Page {
    Page(html: try TextFile.read(try await run(["--dump-dom", url]).logPath))
  }

  /// - Returns: the path of a PNG file.
  static func picture(_ url: String, size: String) async throws -> String {
    let file = try TemporaryFolder.make("picture") + "/page.png"
    _ = try await run(["--window-size=\(size)", "--hide-scrollbars", "--screenshot=\(file)", url])
    return file
  }

  private static func run(_ arguments: [String]) async throws -> ChildProgram {
    let folder = try TemporaryFolder.make("chromium")
    let program = try ChildProgram(
      path: try #require(path),
      arguments: [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--lang=en-US", "--user-data-dir=\(folder)/profile", "--virtual-time-budget=8000",
      ] + arguments, environment: ["LANGUAGE": "en_US", "LC_ALL": "C.UTF-8"],
      logPath: "\(folder)/output")
    guard let ending = await program.waitForEnd(timeoutMs: 60_000) else {
      await program.kill()
      throw HarnessError("chromium did not end:\n\(program.log())")
    }
    guard ending == .exited(0) else {
      throw HarnessError("chromium \(ending):\n\(program.log())")
    }
    return program
  }
}

extension TextFile {
  fileprivate static func byteCount(_ path: String) throws -> Int {
    var status = stat()
    guard stat(path, &status) == 0 else { throw HarnessError("\(path) was not written") }
    return Int(status.st_size)
  }
}
