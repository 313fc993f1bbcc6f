public import HTTPServer

/// The live page at `/`: one HTML file with its styles and script inside, and nothing to build.
///
/// The script asks the query API of the same origin (`/v1/stream`, `/v1/query`,
/// `/v1/accounting`), so the page needs no right of its own: where the API wants a token, the page
/// asks its reader for it.
public enum Console {
  /// - Parameter writeKey: shown in the command that sends a first event; the page is public, so
  ///   only a key that may be known belongs here.
  public static func declare(on routes: inout Routes, writeKey: String = "dev") {
    let page = page(writeKey: writeKey)
    let headers = [
      (name: "Content-Type", value: "text/html; charset=utf-8"),
      (name: "Cache-Control", value: "no-cache"),
      (name: "Content-Security-Policy", value: policy),
      (name: "X-Content-Type-Options", value: "nosniff"),
      (name: "Referrer-Policy", value: "no-referrer"),
    ]
    routes.on(.get, "/") { _ in HTTPResponse(status: .ok, headers: headers, body: .bytes(page)) }
  }

  /// Nothing from elsewhere: styles and script are in the page, data comes from its own origin.
  static let policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    + "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    + "frame-ancestors 'none'"

  static func page(writeKey: String) -> [UInt8] {
    let mark = Array(#""{{writeKey}}""#.utf8)
    let source = PackageResources.console_html
    var output: [UInt8] = []
    output.reserveCapacity(source.count)
    var index = 0
    while index < source.count {
      if source[index] == mark[0], source[index...].starts(with: mark) {
        // Inside a script element a tag must not end it.
        JSONText.append(writeKey.filter { $0 != "<" }, to: &output)
        index += mark.count
      } else {
        output.append(source[index])
        index += 1
      }
    }
    return output
  }
}
