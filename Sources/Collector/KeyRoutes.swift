public import HTTPServer
public import Logging

/// The key store over HTTP: `GET` and `POST /v1/keys`, `POST /v1/keys/{id}/rotate`,
/// `PATCH` and `DELETE /v1/keys/{id}`. For processes that have the store's file.
public struct KeyRoutes: Sendable {
  private static let bodyBytesMax = 64 * 1024

  private let store: KeyStore
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void
  private let changed: @Sendable () -> Void
  private let clock: CollectorClock
  private let log: Logger

  /// - Parameters:
  ///   - check: refuses requests of those who may not change keys.
  ///   - changed: called after each change, before its answer: what takes events in this process is to
  ///     know of it then.
  public init(
    _ store: KeyStore, check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void,
    changed: @escaping @Sendable () -> Void, clock: CollectorClock = .system, log: Logger
  ) {
    self.store = store
    self.check = check
    self.changed = changed
    self.clock = clock
    self.log = log
  }

  public func declare(on routes: inout Routes) {
    let options = RouteOptions(maxBodyBytes: Self.bodyBytesMax)
    routes.on(
      .get, "/v1/keys",
      answering { request, now in
        try check(request)
        return Self.answer(StoredKey.json(try store.all(), now: now))
      })
    routes.on(
      .post, "/v1/keys", options: options,
      answering { request, now in
        try checkChange(request)
        let new = try store.add(try KeyFormat.draft(request.body), now: now)
        return made(new, "made", request, now)
      })
    routes.on(
      .post, "/v1/keys/{id}/rotate", options: options,
      answering { request, now in
        try checkChange(request)
        let id = request.parameters["id"] ?? ""
        let overlap = try KeyFormat.overlap(request.body)
        let successor = try store.rotate(id, overlapMicros: overlap, now: now)
        return made(successor, "made in the place of another", request, now)
      })
    routes.on(
      .patch, "/v1/keys/{id}", options: options,
      answering { request, now in
        try checkChange(request)
        let change = try KeyFormat.change(request.body)
        let key = try store.update(request.parameters["id"] ?? "", change, now: now)
        say("changed", key, request)
        changed()
        return Self.answer(key.json(now: now))
      })
    routes.on(
      .delete, "/v1/keys/{id}",
      answering { request, now in
        try checkChange(request)
        let key = try store.revoke(request.parameters["id"] ?? "", now: now)
        say("revoked", key, request)
        changed()
        return Self.answer(key.json(now: now))
      })
  }

  /// A handler whose errors are answered as problems; it gets the time too.
  private func answering(
    _ body: @escaping @Sendable (HTTPRequest, Int64) throws -> HTTPResponse
  ) -> AsyncHandler {
    { [clock] request in
      do {
        return try body(request, clock.nowMicros())
      } catch let error as KeyStoreError {
        throw problem(error)
      } catch let error as KeyFormatError {
        let place = error.place.isEmpty ? "" : "\(error.place): "
        throw Problem(.badRequest, code: "invalid_key", detail: place + error.detail)
      }
    }
  }

  private func made(
    _ new: NewKey, _ what: String, _ request: HTTPRequest, _ now: Int64
  ) -> HTTPResponse {
    say(what, new.stored, request)
    changed()
    return Self.answer(new.json(now: now), status: .created)
  }

  private func say(_ what: String, _ key: StoredKey, _ request: HTTPRequest) {
    log.notice(
      "a write key was \(what)",
      metadata: ["id": "\(key.id)", "site": "\(key.site)", "by": "\(request.remoteAddress)"])
  }

  private func checkChange(_ request: HTTPRequest) throws(Problem) {
    try check(request)
    try request.checkOrigin()
  }

  private func problem(_ error: KeyStoreError) -> Problem {
    switch error {
    case .invalid: Problem(.badRequest, code: "invalid_key", detail: error.description)
    case .duplicate: Problem(.conflict, code: "duplicate_key", detail: error.description)
    case .unknown: Problem(.notFound, code: "unknown_key", detail: error.description)
    case .notActive: Problem(.conflict, code: "key_not_active", detail: error.description)
    case .full: Problem(.conflict, code: "too_many_keys", detail: error.description)
    case .busy, .file, .malformed: unavailable(error)
    }
  }

  /// Where the file is, is for the log alone.
  private func unavailable(_ error: KeyStoreError) -> Problem {
    log.error("the file of write keys can't be used", metadata: ["error": "\(error)"])
    return Problem(
      .serviceUnavailable, code: "keys_unavailable",
      detail: "The file of write keys can't be used now; the server's log says why.",
      retryAfterSeconds: 1)
  }

  private static func answer(_ json: [UInt8], status: HTTPStatus = .ok) -> HTTPResponse {
    HTTPResponse(
      status: status,
      headers: [
        (name: "Content-Type", value: "application/json"),
        (name: "Cache-Control", value: "no-store"),
      ], body: .bytes(json))
  }
}
