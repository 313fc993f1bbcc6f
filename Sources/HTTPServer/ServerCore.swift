import Logging
import Synchronization

/// What all connections of one server share. Immutable but for the atomics.
final class ServerCore: Sendable {
  let parameters: ServerParameters
  let router: Router
  let observer: (@Sendable (AccessRecord) -> Void)?
  let log: Logger
  let openConnections = Atomic<Int>(0)
  let refusedConnections = Atomic<Int>(0)
  let refusedHeads = Atomic<Int>(0)
  let bufferedBodyBytes = Atomic<Int>(0)
  let answers: StandardAnswers

  init(
    parameters: ServerParameters, router: Router, log: Logger,
    observer: (@Sendable (AccessRecord) -> Void)?
  ) {
    self.parameters = parameters
    self.router = router
    self.log = log
    self.observer = observer
    answers = StandardAnswers(parameters: parameters)
  }
}

/// The server's own answers, laid out once.
struct StandardAnswers: Sendable {
  let notFound: PreparedResponse
  let badRequest: PreparedResponse
  let badPath: PreparedResponse
  let headerTooLarge: PreparedResponse
  let versionNotSupported: PreparedResponse
  let bodyTimeout: PreparedResponse
  let answerTimeout: PreparedResponse
  let overloaded: PreparedResponse
  let internalError: PreparedResponse

  init(parameters: ServerParameters) {
    notFound =
      Problem(
        .notFound, code: "not_found",
        detail: "No route has this path; GET /openapi.json lists the routes."
      ).prepared
    badRequest =
      Problem(
        .badRequest, code: "malformed_request",
        detail: "The request is not HTTP/1.1 as RFC 9112 defines it."
      ).prepared
    badPath =
      Problem(
        .badRequest, code: "malformed_path",
        detail: "A percent-escape of the path is malformed or its text is not UTF-8."
      ).prepared
    // Not 431: which route it is for is not known yet, and Snowplow's trackers, which may put an event
    // of any length into the request line, send again for ever what is not refused with 400.
    headerTooLarge =
      Problem(
        .badRequest, code: "header_too_large",
        detail: "Request line and header fields may have \(parameters.maxHeaderBytes) bytes and "
          + "\(parameters.maxHeaderFields) fields."
      ).prepared
    versionNotSupported =
      Problem(
        .versionNotSupported, code: "http_version", detail: "Use HTTP/1.1 or HTTP/1.0."
      ).prepared
    bodyTimeout =
      Problem(
        .requestTimeout, code: "body_timeout",
        detail: "The body did not arrive within \(parameters.bodyTimeoutMs) ms; send it again."
      ).prepared
    answerTimeout =
      Problem(
        .serviceUnavailable, code: "answer_timeout",
        detail: "There was no answer within \(parameters.answerTimeoutMs) ms; try again.",
        retryAfterSeconds: 1
      ).prepared
    overloaded =
      Problem(
        .serviceUnavailable, code: "overloaded",
        detail: "The server is at its limit of connections or bytes; try again.",
        retryAfterSeconds: 1
      ).prepared
    internalError =
      Problem(
        .internalServerError, code: "internal_error",
        detail: "The server failed to answer; its log has the reason."
      ).prepared
  }

  func methodNotAllowed(_ endpoint: Router.Endpoint) -> FastResponse {
    FastResponse(
      Problem(
        .methodNotAllowed, code: "method_not_allowed",
        detail: "This path allows \(endpoint.allow).",
        headers: [(name: "Allow", value: endpoint.allow)]))
  }

  func bodyTooLarge(_ options: RouteOptions) -> FastResponse {
    FastResponse(
      Problem(
        options.bodyTooLarge, code: "body_too_large",
        detail: "The body may have \(options.maxBodyBytes) bytes; send it in smaller parts."))
  }
}
