// Buttons of which any number can be chosen, as one component: the server builds each element of a page.
export default {
  template: `
    <div class="genres" role="group" :aria-label="label">
      <button v-for="name in names" :key="name" type="button" class="button chip"
        :aria-pressed="String(chosen.includes(name))" @click="$emit('toggle', name)">{{ name }}</button>
    </div>`,
  props: { label: String, names: Array, chosen: Array },
  emits: ["toggle"],
};
