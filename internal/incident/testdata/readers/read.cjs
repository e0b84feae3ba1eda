// Reads a status page with other people's programs and prints what they understood.
const { parseAtomFeed, parseRssFeed, parseJsonFeed } = require('feedsmith')
const { Statuspage } = require('statuspage.io')
const root = process.argv[2]

const get = async (path) => {
  const a = await fetch(root + path)
  if (!a.ok) throw new Error(`${path}: ${a.status}`)
  return a.text()
}

const main = async () => {
  const ICAL = (await import('ical.js')).default
  const atom = parseAtomFeed(await get('/history.atom'))
  const rss = parseRssFeed(await get('/history.rss'))
  const json = parseJsonFeed(await get('/feed.json'))
  const calendar = new ICAL.Component(ICAL.parse(await get('/maintenance.ics')))
  const page = new Statuspage('writ')
  page.setApiUrl(root)
  const api = page.api
  const [summary, status, components, all, open, planned] = await Promise.all([api.getSummary(), api.getStatus(), api.getComponents(), api.incidents.getAll(), api.incidents.getUnresolved(), api.scheduledMaintenances.getUpcoming()])
  console.log(JSON.stringify({
    atom: { id: atom.id, updated: atom.updated, items: atom.entries.map((e) => ({ id: e.id, title: e.title.value, text: e.content.value, made: e.published, changed: e.updated })) },
    rss: { home: rss.link, items: rss.items.map((e) => ({ id: e.guid.value, title: e.title, text: e.description })) },
    json: { home: json.home_page_url, items: json.items.map((e) => ({ id: e.id, title: e.title, text: e.content_text })) },
    calendar: calendar.getAllSubcomponents('vevent').map((c) => {
      const e = new ICAL.Event(c)
      return { id: e.uid, title: e.summary, text: e.description, starts: e.startDate.toJSDate(), ends: e.endDate.toJSDate(), status: c.getFirstPropertyValue('status') }
    }),
    indicator: [summary.status.indicator, status.status.indicator],
    components: components.components.map((c) => `${c.name}=${c.status}`),
    incidents: all.incidents.map((i) => ({ id: i.id, title: i.name, status: i.status, text: i.incident_updates[0].body })),
    open: open.incidents.map((i) => i.id),
    planned: planned.scheduled_maintenances.map((i) => ({ id: i.id, title: i.name, starts: i.scheduled_for, ends: i.scheduled_until })),
  }))
}
main().catch((e) => { console.error(e); process.exit(1) })
