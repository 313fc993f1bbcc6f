public import HTTPServer

/// The live page at `/` and that of the debugger at `/debug`: one HTML file each with its script inside, and
/// the styles that both have put in where `{{styles}}` stands; nothing to build.
///
/// The scripts ask the APIs of the same origin (`/v1/stream`, `/v1/query`, `/v1/accounting`;
/// `/v1/debug/stream`), so the page needs no right of its own: where the API wants a token, the page
/// asks its reader for it.
public enum Console {
  /// - Parameter writeKey: shown in the command that sends a first event; the page is public, so
  ///   only a key that may be known belongs here.
  public static func declare(on routes: inout Routes, writeKey: String = "dev") {
    declare(page(writeKey: writeKey), at: "/", on: &routes)
  }

  /// The page that shows what becomes of events as they arrive; for processes that take events.
  public static func declareDebugger(on routes: inout Routes) {
    declare(filled(PackageResources.debug_html), at: "/debug", on: &routes)
  }

  private static func declare(_ page: [UInt8], at path: String, on routes: inout Routes) {
    let headers = [
      (name: "Content-Type", value: "text/html; charset=utf-8"),
      (name: "Cache-Control", value: "no-cache"),
      (name: "Content-Security-Policy", value: policy),
      (name: "X-Content-Type-Options", value: "nosniff"),
      (name: "Referrer-Policy", value: "no-referrer"),
    ]
    routes.on(.get, path) { _ in HTTPResponse(status: .ok, headers: headers, body: .bytes(page)) }
  }

  /// Nothing from elsewhere: styles and script are in the page, data comes from its own origin.
  static let policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    + "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    + "frame-ancestors 'none'"

  static func page(writeKey: String) -> [UInt8] {
    // Inside a script element a tag must not end it.
    var quoted: [UInt8] = []
    JSONText.append(writeKey.filter { $0 != "<" }, to: &quoted)
    return filled(PackageResources.console_html, [(#""{{writeKey}}""#, quoted)])
  }

  /// A page with what its marks stand for.
  private static func filled(
    _ source: [UInt8], _ others: [(mark: String, text: [UInt8])] = []
  ) -> [UInt8] {
    let marks = [("{{styles}}", PackageResources.page_css)] + others
    return marks.reduce(source) { page, mark in
      page.replacing(Array(mark.0.utf8), with: mark.1)
    }
  }
}
