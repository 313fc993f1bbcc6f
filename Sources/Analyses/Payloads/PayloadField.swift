/// What is looked for in the payloads of events, and where the protocols have it.
///
/// | protocol | payload |
/// |---|---|
/// | pixel, beacon, browser tracker | its fields: `url`, `ref`, `dw`, `sd` … |
/// | Segment, RudderStack | the call: `context.campaign.source`, `context.page.url` … |
/// | PostHog | the event: `properties.$current_url` … |
/// | Snowplow, Matomo | its fields: `url`, `refr`, `urlref` … |
/// | GA4 | the request with one event: `events[].params.page_location` … |
/// | CloudEvents | the event: `data.url` … |
enum PayloadField: Int, CaseIterable {
  case country, source, medium
  /// The address of the page, with its `utm_` fields, and that of the page before.
  case page, referrer
  case dwellMilliseconds, dwellSeconds
  /// How far a page was seen, in percent or as a share of 1.
  case scrollPercent, scrollShare

  /// Names from the outermost member inwards, the best place first; where a place holds an array its elements are
  /// looked at.
  var places: [String] {
    switch self {
    case .country:
      [
        "context.location.country", "properties.$geoip_country_code", "user_location.country_id",
        "country", "geo_country", "data.country", "properties.country",
      ]
    case .source:
      [
        "context.campaign.source", "properties.utm_source", "utm_source", "data.utm_source",
        "events.params.source",
      ]
    case .medium:
      [
        "context.campaign.medium", "properties.utm_medium", "utm_medium", "data.utm_medium",
        "events.params.medium",
      ]
    case .page:
      [
        "url", "context.page.url", "properties.$current_url", "properties.url", "data.url",
        "events.params.page_location",
      ]
    case .referrer:
      [
        "ref", "context.page.referrer", "properties.$referrer", "properties.referrer", "refr",
        "urlref", "data.referrer", "events.params.page_referrer",
      ]
    case .dwellMilliseconds: ["dw", "events.params.engagement_time_msec", "data.dwell_ms"]
    case .dwellSeconds: ["properties.$prev_pageview_duration"]
    case .scrollPercent: ["sd", "events.params.percent_scrolled", "data.scroll_percent"]
    case .scrollShare: ["properties.$prev_pageview_max_scroll_percentage"]
    }
  }
}
