import Foundation
import HTTPServer

/// A tab of a browser that is led by a test.
struct ChromiumTab: Sendable {
  /// Of the window, in CSS pixels.
  static let width = 1000
  static let height = 800

  let browser: Chromium
  let target: String
  let session: String

  @discardableResult
  func call(_ method: String, _ parameters: String = "{}") async throws -> Data {
    try await browser.call(method, parameters, session: session)
  }

  /// Goes to the address and waits until its page has loaded.
  func open(_ url: String) async throws {
    let loaded = eventCount("Page.loadEventFired")
    try await call("Page.navigate", "{\"url\":\(JSONText.quoted(url))}")
    let isLoaded = await eventually(withinMs: 30_000) {
      eventCount("Page.loadEventFired") > loaded
    }
    guard isLoaded else { throw HarnessError("\(url) did not load") }
  }

  /// The value of an expression, of a promise once it is kept.
  func evaluate<Value: Decodable & Sendable>(_ expression: String, as type: Value.Type) async throws
    -> Value
  {
    let data = try await call(
      "Runtime.evaluate",
      "{\"expression\":\(JSONText.quoted(expression)),\"returnByValue\":true,\"awaitPromise\":true}"
    )
    let answer = try JSONDecoder().decode(Evaluation<Value>.self, from: data).result
    guard answer.exceptionDetails == nil, let value = answer.result.value else {
      throw HarnessError("\(expression) is \(String(decoding: data, as: UTF8.self))")
    }
    return value
  }

  /// Runs statements.
  func run(_ statements: String) async throws {
    _ = try await evaluate("(async () => { \(statements); return true })()", as: Bool.self)
  }

  func click(x: Int, y: Int, button: String = "left") async throws {
    for type in ["mousePressed", "mouseReleased"] {
      try await call(
        "Input.dispatchMouseEvent",
        "{\"type\":\"\(type)\",\"x\":\(x),\"y\":\(y),\"button\":\"\(button)\",\"clickCount\":1}")
    }
  }

  /// Turns the mouse wheel, and waits until the page has scrolled there.
  func scroll(by pixels: Int) async throws {
    let wanted = try await evaluate(
      "Math.max(0, Math.min(scrollY + \(pixels), document.documentElement.scrollHeight - innerHeight))",
      as: Double.self)
    try await call(
      "Input.dispatchMouseEvent",
      "{\"type\":\"mouseWheel\",\"x\":500,\"y\":400,\"deltaX\":0,\"deltaY\":\(pixels)}")
    let isThere = try await eventually(withinMs: 10_000) {
      abs(try await evaluate("scrollY", as: Double.self) - wanted) < 1
    }
    guard isThere else { throw HarnessError("the page did not scroll by \(pixels)") }
  }

  /// As a machine without network, or with it again.
  func setOffline(_ isOffline: Bool) async throws {
    try await call(
      "Network.emulateNetworkConditions",
      "{\"offline\":\(isOffline),\"latency\":0,\"downloadThroughput\":-1,\"uploadThroughput\":-1}")
  }

  /// Closes the tab as a person does.
  func close() async throws {
    try await browser.call("Target.closeTarget", "{\"targetId\":\"\(target)\"}")
  }

  func eventCount(_ method: String) -> Int {
    browser.events(session: session).count { $0.method == method }
  }

  /// The addresses that the tab has sent requests to.
  func requests() throws -> [String] {
    struct Sent: Decodable {
      struct Parameters: Decodable {
        struct Request: Decodable { var url: String }
        var request: Request
      }
      var params: Parameters
    }
    return try browser.events(session: session).filter { $0.method == "Network.requestWillBeSent" }
      .map { try JSONDecoder().decode(Sent.self, from: $0.message).params.request.url }
  }

  /// Errors that no script caught.
  var exceptions: [String] {
    browser.events(session: session).filter { $0.method == "Runtime.exceptionThrown" }.map {
      String(decoding: $0.message, as: UTF8.self)
    }
  }
}

/// The answer to Runtime.evaluate.
private struct Evaluation<Value: Decodable>: Decodable {
  struct Outcome: Decodable {
    struct Remote: Decodable { var value: Value? }
    struct Exception: Decodable { var text: String }
    var result: Remote
    var exceptionDetails: Exception?
  }
  var result: Outcome
}
