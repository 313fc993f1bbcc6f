import ArgumentParser
import HTTPServer

/// Proxies in front of the server.
struct TrustedProxyOption: ParsableArguments {
  static let variable = "SMARTCONTENT_TRUSTED_PROXIES"

  @Option(
    help: ArgumentHelp(
      "Address ranges of proxies, such as 10.0.0.0/8, several with commas: whom they name as their clients in"
        + " X-Forwarded-For, or in Forwarded, is believed [env \(variable)]. None by"
        + " default.", valueName: "ranges"))
  var trustedProxies: String?

  func ranges() throws -> AddressRanges {
    guard let text = trustedProxies ?? Environment[Self.variable] else { return AddressRanges() }
    do {
      return try AddressRanges(text.replacing(",", with: "\n"))
    } catch {
      throw ValidationError(
        "--trusted-proxies: range \(error.line) is none; write such as 10.0.0.0/8,2001:db8::/32")
    }
  }
}
