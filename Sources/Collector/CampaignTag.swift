import Events
import HTTPServer

/// A name by which any protocol tells where a reader comes from: `utm_campaign` and the like, as a property or as
/// a field of the address of a page. They count where the mapping finds nothing.
///
/// | name | becomes |
/// |---|---|
/// | `utm_campaign` | campaign |
/// | `utm_content` | content |
/// | `utm_medium`, else `utm_source` | channel |
///
/// Matomo's `mtm_…`, `matomo_…`, `pk_…` and `piwik_…` are the same in addresses.
struct CampaignTag {
  let part: MappedPart
  /// Among those of the same part, and behind all that a mapping names.
  let rank: Int

  /// - Parameter name: of a property.
  init?(_ name: UnsafeRawBufferPointer) {
    guard name.count > 4, name[3] == UInt8(ascii: "_"), name.starts(with: "utm_".utf8) else {
      return nil
    }
    self.init(word: name[4...])
  }

  init?(_ name: String) {
    var name = name
    guard let tag = name.withUTF8({ CampaignTag(UnsafeRawBufferPointer($0)) }) else { return nil }
    self = tag
  }

  /// - Parameter word: what stands behind the `_`.
  private init?(word: Slice<UnsafeRawBufferPointer>) {
    let (part, rank): (MappedPart, Int)
    if word.elementsEqual("campaign".utf8) || word.elementsEqual("cpn".utf8) {
      (part, rank) = (.campaign, .max - 1)
    } else if word.elementsEqual("content".utf8) {
      (part, rank) = (.content, .max - 1)
    } else if word.elementsEqual("medium".utf8) {
      (part, rank) = (.channel, .max - 2)
    } else if word.elementsEqual("source".utf8) {
      (part, rank) = (.channel, .max - 1)
    } else {
      return nil
    }
    self.part = part
    self.rank = rank
  }

  /// The tags among the fields of an address, such as `https://example.org/?utm_campaign=spring`, in their order;
  /// only those that can be the value of a dimension.
  static func find(in address: UnsafeRawBufferPointer) -> [(CampaignTag, String)] {
    guard let mark = address.firstIndex(of: UInt8(ascii: "?")) else { return [] }
    let query = UnsafeRawBufferPointer(
      rebasing: address[(mark + 1)...].prefix { $0 != UInt8(ascii: "#") })
    var found: [(CampaignTag, String)] = []
    var scanner = QueryScanner()
    while let field = scanner.next(in: query.bytes) {
      let name = query[field.name]
      guard !field.value.isEmpty, let gap = name.firstIndex(of: UInt8(ascii: "_")),
        prefixes.contains(where: { name[..<gap].elementsEqual($0.utf8) }),
        let tag = CampaignTag(word: name[(gap + 1)...])
      else { continue }
      let fields = UnsafeRawBufferPointer(
        rebasing: query[field.name.lowerBound..<field.value.upperBound])
      guard let value = TextFields(form: fields).all.first?.value, isDimension(value) else {
        continue
      }
      found.append((tag, value))
    }
    return found
  }

  private static let prefixes = ["utm", "mtm", "matomo", "pk", "piwik"]

  /// Whether a text can be the value of a dimension as it is.
  static func isDimension(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= Dimension.bytesMax && !text.utf8.contains(0)
  }
}
