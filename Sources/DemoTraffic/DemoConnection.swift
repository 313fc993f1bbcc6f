import Events
import HTTPClient

/// Sends requests one after the other over one HTTP connection, and again where it must.
struct DemoConnection {
  /// Between attempts where the server names no time, microseconds; doubled up to the maximum.
  private static let firstPause: Int64 = 100_000
  private static let pauseMax: Int64 = 2_000_000
  /// The longest Retry-After that is honoured, microseconds.
  private static let retryAfterMax: Int64 = 10_000_000
  private static let slice: Int64 = 50_000

  let url: String
  let client: HTTPClient
  let tally: DemoTally
  let stopping: StopSignal

  func send(_ request: DemoRequest) {
    var pause = Self.firstPause
    while true {
      let wait: Int64
      do throws(HTTPClientError) {
        let answer = try client.send(
          method: request.method, url + request.target, headers: request.headers,
          body: request.method == "POST" ? request.body : nil)
        guard let retryAfter = handle(answer, of: request) else { return }
        wait = retryAfter > 0 ? retryAfter : pause
      } catch {
        switch error {
        case .invalidURL, .invalidHeader, .tlsFailed, .unavailable:
          tally.failed(.unreachable(error))
          return
        default: wait = pause
        }
      }
      pause = min(2 * pause, Self.pauseMax)
      guard rest(wait) else {
        if request.expectation == .accepted { tally.gaveUp() }
        return
      }
      tally.sentAgain()
    }
  }

  /// - Returns: nil where the request is done; else how long to wait in microseconds before it is
  ///   sent again, 0 where the server left that open.
  private func handle(_ answer: HTTPAnswer, of request: DemoRequest) -> Int64? {
    tally.answered(request, status: answer.status, position: Self.position(in: answer))
    switch answer.status {
    case 200: return nil
    case 401, 403:
      tally.failed(.keyRefused(status: answer.status, body: answer.text))
      return nil
    case 408, 429, 500...599:
      let seconds = answer.header("Retry-After").flatMap { Int64($0) } ?? 0
      return min(max(seconds, 0) * 1_000_000, Self.retryAfterMax)
    default:
      if request.expectation != .refused {
        tally.refused(status: answer.status, body: answer.text)
      }
      return nil
    }
  }

  /// Sleeps in slices.
  ///
  /// - Returns: false where the run is to be given up.
  private func rest(_ micros: Int64) -> Bool {
    let end = DemoClock.monotonic() + micros
    while true {
      if stopping.isGivenUp { return false }
      let left = end - DemoClock.monotonic()
      if left <= 0 { return true }
      DemoClock.sleep(micros: min(left, Self.slice))
    }
  }

  static func position(in answer: HTTPAnswer) -> Position? {
    answer.header("SmartContent-Position").flatMap { Position($0) }
  }
}
